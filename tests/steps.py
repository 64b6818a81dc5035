"""What journeys have in common: a reader joins, the newsroom publishes, an edition goes out."""

import itertools
import math
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from tests import message_rules
from tests.service import Browser, Mail, Page, Service

# A topic that none of the demo readers follows: what is published here reaches the journeys alone.
TOPIC = "Polar Affairs"
TOPIC_SLUG = "polar-affairs"
_numbers = itertools.count(1)


@dataclass
class Reader:
    """Somebody with a mailbox and a browser, who has confirmed."""

    address: str
    browser: Browser
    confirmation: Mail
    preferences: Page  # where the confirmation led


def new_address(name: str = "mara") -> str:
    return f"{name}{next(_numbers)}@journeys.example"


def sign_up(service: Service, address: str, *newsletters: str) -> Browser:
    """By the small form of the front page, or with newsletters by the large one."""
    browser = service.browser()
    if newsletters:
        page = service.tab("/subscribe/")
        answer = browser.submit(page, "Subscribe", email=address, newsletter=list(newsletters))
    else:
        answer = browser.submit(service.tab("/"), "Subscribe", email=address)
    assert (answer.status, answer.heading) == (200, "Now check your inbox"), answer.text
    return browser


def join(service: Service, *newsletters: str) -> Reader:
    """Sign up and confirm."""
    address = new_address()
    browser = sign_up(service, address, *newsletters)
    confirmation = service.wait_for_mail(to=address, subject="confirm")
    page = browser.get(confirmation.link("/confirm/"))
    answer = browser.submit(page, "Yes, subscribe me")
    assert (answer.status, answer.heading) == (200, "Your preferences"), answer.text
    return Reader(address, browser, confirmation, answer)


def feed(title: str, *, slug: str, topic: str = TOPIC, at: datetime | None = None) -> str:
    """A feed of one article, as WordPress writes it."""
    at = at or datetime.now(UTC)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>
<title>IRIA News</title><link>https://ir-ia.example</link><language>en-US</language>
<item><title>{escape(title)}</title><link>https://ir-ia.example/2026/{slug}/</link>
<dc:creator>IRIA Polar desk</dc:creator><pubDate>{format_datetime(at)}</pubDate>
<category>{escape(topic)}</category><guid isPermaLink="false">journeys-{slug}</guid>
<description>What the ice does, and who watches it.</description>
<content:encoded><![CDATA[<p>The ice came late. Ships did not wait for it.</p>
<h2>What follows</h2><p>A longer season, and more of everything.</p>]]></content:encoded></item>
</channel></rss>"""


def publish(service: Service, title: str) -> str:
    """Import one article, published in this very second; return its path."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower())
    file = service.data_dir / f"{slug}.xml"
    # A feed knows no parts of a second. Rounded down, it would be older than who has just joined.
    at = datetime.fromtimestamp(math.ceil(time.time()), UTC)
    file.write_text(feed(title, slug=slug, at=at))
    output = service.manage("import_articles", str(file))
    assert re.search(r"new +1\n", output), output
    time.sleep(max(0.0, at.timestamp() - time.time()))
    return f"/articles/{slug}/"


def send_edition(service: Service, newsletter: str = "iria-daily") -> int:
    """Compose and send by the commands; return the number of the edition."""
    composed = service.manage("compose_edition", newsletter)
    number = int(re.search(r"Edition (\d+) is a draft", composed)[1])
    service.manage("send_edition", str(number))
    return number


def articles(mail: Mail) -> set[str]:
    """The paths of the articles that a mail leads to."""
    paths = {urlsplit(link).path for link in mail.links}
    return {path for path in paths if path.startswith("/articles/")}


def broken_rules(service: Service, mail: Mail) -> list[str]:
    """What the stored bytes and the envelope break of requirements M."""
    [recipient] = mail.recipients
    return message_rules.broken_rules(
        mail.raw,
        newsletter=mail.is_newsletter,
        sender=mail.sender,
        recipient=recipient,
        now=mail.received_at,
        site_url=service.url,
    )
