"""What an editor says in an edition, as mails and its public page show it."""

from dataclasses import replace

import lxml.html
import pytest
from django.utils import timezone

from mailer import contents, layout, messages, rendering
from mailer.contents import Picture
from mailer.models import Edition
from subscribers.models import Look
from tests import message_rules
from tests.factories import utc
from tests.mailer import samples
from tests.mailer.editions import daily, sending

HOSTILE = '<script>alert("1")</script> {{ settings.SECRET_KEY }} & more'
PICTURE = Picture(f"{samples.SITE}/media/editions/tug.png", 1200, 800, "A tug", "At work.", "IRIA")
FACTS = replace(
    samples.FACTS,
    introduction=("Good morning.", HOSTILE),
    note=("We are off on Friday.",),
    picture=PICTURE,
)


def raw(facts, items) -> bytes:
    reader = messages.Recipient(5, 6, "reader@example.org", samples.WHY)
    values = messages.values(reader, edition_id=7, at=utc("2026-11-23 07:00"))
    return messages.join(samples.compiled(facts, items), values)


# --- in mails -------------------------------------------------------------------------------------
def test_introduction_picture_and_note_stand_around_the_articles():
    body = samples.composed(FACTS)

    cells = lxml.html.document_fromstring(body.html).xpath("//td/@class")
    assert cells.index("plate") < cells.index("opening") < cells.index("lead")
    assert cells.index("lead") < cells.index("closing") < cells.index("why")
    text = body.text
    assert text.index("[Picture: A tug]") < text.index("Good morning.")
    assert text.index("Good morning.") < text.index(samples.MALACCA.title)
    assert text.index(samples.WATER.title) < text.index("We are off on Friday.")


def test_what_is_said_is_shown_and_never_run():
    body = samples.composed(FACTS)

    assert "<script" not in body.html
    assert "{{ settings.SECRET_KEY }} &amp; more" in body.html
    assert "<script>alert" in body.text


@pytest.mark.parametrize("items", [samples.ITEMS, [samples.STRAITS]])
@pytest.mark.parametrize("by_topic", [True, False])
@pytest.mark.parametrize("look", ["digest", "alert"])
def test_a_mail_with_all_of_it_keeps_every_rule(look, by_topic, items):
    facts = replace(FACTS, look=look, by_topic=by_topic)

    message = raw(facts, items)

    assert message_rules.broken_rules(message, newsletter=True) == []
    shown = message_rules.Message(message, samples.SITE)
    for paragraph in ("Good morning.", "We are off on Friday."):
        assert paragraph in shown.html
        assert paragraph in shown.text


def test_an_alert_shows_no_picture():
    body = samples.composed(replace(FACTS, look=Look.ALERT), [samples.ALERT])

    assert "<img" not in body.html
    assert "Good morning." in body.html


def test_ungrouped_the_articles_stand_in_their_order_and_name_their_topics():
    items = [samples.WATER, samples.RUNWAYS, samples.CABLES, samples.SURVEY]

    digest = layout.arrange(items, by_topic=False)
    body = samples.composed(replace(samples.FACTS, by_topic=False), items)

    assert [entry.item for entry in digest.entries] == items
    assert [entry.number for entry in digest.entries] == [1, 2, 3, 4]
    assert [section.topic for section in digest.sections] == [""]
    tree = lxml.html.document_fromstring(body.html)
    assert tree.xpath("//h2[@class='topic']") == []
    titles = [one.text_content() for one in tree.xpath("//h2[@class='lead-head']|//h3")]
    assert titles == [item.title for item in items]
    assert samples.RUNWAYS.kickers in body.html
    assert samples.RUNWAYS.kickers.replace("\n", " ")[:20] in body.text


def test_an_ungrouped_lead_alone_has_no_section():
    assert layout.arrange([samples.WATER], by_topic=False).sections == ()


@pytest.mark.parametrize("count", [15, 45])
def test_long_texts_cost_standfirsts_and_never_the_limit(count):
    long = ("海底の静かな競争、" * 222,)  # 2,000 signs of three bytes
    facts = replace(FACTS, introduction=long, note=long)

    body = samples.composed(facts, samples.many(count))

    assert len(body.html.encode()) <= rendering.LIMIT - rendering.ROOM_FOR_VALUES
    assert body.html.count(long[0]) == 2
    assert all(item.url in body.html for item in samples.many(count))


# --- from rows ------------------------------------------------------------------------------------
pytestmark = pytest.mark.django_db


def test_a_blurb_stands_in_place_of_the_standfirst():
    edition = samples.make_edition([samples.MALACCA, samples.WATER])
    edition.items.filter(article__title=samples.WATER.title).update(blurb="In other words.")

    body = rendering.preview(edition, 0b11)

    for part in (body.html, body.text):
        assert "In other words." in part
        assert samples.WATER.standfirst[:30] not in part
        assert samples.MALACCA.standfirst[:30] in part


def test_an_empty_line_begins_a_paragraph_and_a_line_break_does_not():
    edition = samples.make_edition([samples.WATER])
    Edition.objects.filter(pk=edition.pk).update(introduction="One\ngoes on.\n\n \n Two. \n")

    facts, _ = contents.load(edition.pk, 1)

    assert facts.introduction == ("One goes on.", "Two.")


def test_a_picture_from_elsewhere_is_left_out(settings):
    edition = samples.make_edition([samples.WATER])
    rows = Edition.objects.filter(pk=edition.pk)
    rows.update(
        picture="editions/tug.png", picture_alt="A tug", picture_width=1200, picture_height=800
    )
    assert contents.load(edition.pk, 1)[0].picture == replace(PICTURE, caption="", credit="")
    settings.MEDIA_URL = "https://pixel.example/"
    assert contents.load(edition.pk, 1)[0].picture is None


# --- on its page ----------------------------------------------------------------------------------
def test_the_public_page_says_what_the_mail_said(client):
    edition = sending(daily(readers=1, articles=2))
    edition.items.filter(bit=1).update(blurb="In other words.")
    Edition.objects.filter(pk=edition.pk).update(
        introduction=f"Good morning.\n\n{HOSTILE}",
        note="Bye.",
        picture="editions/tug.png",
        picture_alt="A tug",
        picture_credit="IRIA",
        picture_width=1200,
        picture_height=800,
        started_at=timezone.now(),
    )

    page = client.get(f"/editions/{edition.slug}/").content.decode()

    assert page.index('alt="A tug"') < page.index("Good morning.") < page.index("In other words.")
    assert page.index("In other words.") < page.index("Bye.")
    assert "<script>alert" not in page
    assert page.count("What happened, in a sentence.") == 1


def test_the_public_page_of_ungrouped_articles_has_no_topics_and_keeps_the_order(client):
    edition = sending(daily(readers=1, articles=3))
    titles = list(edition.items.order_by("bit").values_list("article__title", flat=True))
    Edition.objects.filter(pk=edition.pk).update(by_topic=False)

    tree = lxml.html.document_fromstring(client.get(f"/editions/{edition.slug}/").content.decode())

    band = tree.xpath("//section[contains(@class, 'band')]")[0]
    assert [one.text_content() for one in band.xpath(".//h2")] == titles
