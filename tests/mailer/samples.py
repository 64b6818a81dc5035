"""One digest of seven articles in three languages, as plain values and as rows."""

from dataclasses import replace
from datetime import UTC, date, datetime, time

from iria_news import mail
from mailer import contents, messages, rendering
from mailer.contents import Facts, Item, Picture
from mailer.models import Edition, EditionArticle
from subscribers import links
from subscribers.models import Cadence, Weekday
from tests.factories import make_article, make_newsletter, make_topic, utc

SITE = "https://news.ir-ia.example"
NAVIGATION = ["Asia-Pacific", "Security", "Middle East"]
FACTS = Facts(
    newsletter_name="IRIA Weekly",
    newsletter_slug="iria-weekly",
    look="digest",
    is_private=False,
    edition_slug="iria-weekly-2026-11-23",
    subject="",
    preheader="",
    on=date(2026, 11, 23),
    browser_url=f"{SITE}/editions/iria-weekly-2026-11-23/",
)
WHY = messages.why_sentence("IRIA Weekly", date(2026, 2, 3), NAVIGATION, all_topics=False)


def item(slug: str, topic: str, *, day: int, **fields: object) -> Item:
    language = fields.get("language", "en")
    values = {
        "url": f"{SITE}/articles/{slug}/",
        "language": "en",
        "direction": "rtl" if language == "ar" else "ltr",
        "kind": "Analysis",
        "byline": f"IRIA {topic} desk",
        "published_at": datetime(2026, 11, day, 7, 40, tzinfo=UTC),
        "published_on": date(2026, 11, day),
        "topics": (topic,),
        "position": NAVIGATION.index(topic),
    }
    return Item(**{**values, **fields})


MALACCA = item(
    "strait-of-malacca",
    "Asia-Pacific",
    day=20,
    title="The narrow sea: who keeps the Strait of Malacca open",
    standfirst="Three coastal states share the policing of one of the world’s busiest waterways, "
    "and each guards its sovereignty while doing so. Two decades of joint patrols have made "
    "piracy rare. The harder question is what they would do together if the danger came from "
    "a state.",
    minutes=9,
    picture=Picture(
        url=f"{SITE}/media/articles/strait.png",
        width=1200,
        height=600,
        alt="Chart of a narrow strait between two coasts, with one lane in each direction.",
        caption="A strait in outline: one lane each way, and little room between.",
        credit="Chart: IRIA Graphics",
    ),
)
RUNWAYS = item(
    "small-islands-long-runways",
    "Asia-Pacific",
    day=19,
    title="Small islands, long runways",
    standfirst="Across the Pacific, airstrips of the 1940s are being cleared and resurfaced. What "
    "dispersal gains in safety it costs in fuel, spares and the consent of the people who live "
    "beside them.",
    minutes=7,
)
SURVEY = item(
    "survey-ships-east-asia",
    "Asia-Pacific",
    day=18,
    language="ja",
    kind="分析",
    byline="IRIA東アジア班",
    title="海底の静かな競争――測量船が語る東アジアの海",
    standfirst="測量は科学であり、同時に備えでもある。公開された航跡をたどり、各国が海の底に何を探し、"
    "その先に何を見ているのかを読み解く。",
    minutes=8,
)
CABLES = item(
    "when-a-cable-breaks",
    "Security",
    day=17,
    kind="Backgrounder",
    title="When a cable breaks, who sails?",
    standfirst="Nearly all data between continents runs along the seabed, and the ships that can "
    "mend it number a few dozen. The queue for repair decides how long a country stays slow.",
    minutes=6,
    picture=Picture(
        url=f"{SITE}/media/articles/cables.png",
        width=568,
        height=284,
        alt="Chart of cables crossing an ocean; one of them is broken halfway.",
        caption="",
        credit="Chart: IRIA Graphics",
    ),
)
WARHEADS = item(
    "counting-warheads",
    "Security",
    day=19,
    kind="Commentary",
    title="Counting warheads without a treaty",
    standfirst="The last pact that limited the two largest arsenals lapsed in February. Satellites "
    "still see silos and bombers; what lies in storage was only ever known because each side told "
    "the other.",
    minutes=8,
)
WATER = item(
    "gulf-fresh-water",
    "Middle East",
    day=18,
    title="Fresh water, the Gulf’s other strategic reserve",
    standfirst="Desalination supplies most of the drinking water on the southern shore. Planners "
    "now count tanks and pipes as they once counted oil: in days.",
    minutes=5,
)
STRAITS = item(
    "why-straits-remain-leverage",
    "Middle East",
    day=16,
    language="ar",
    kind="تحليل",
    byline="قسم الشرق الأوسط",
    title="لماذا تبقى المضائق البحرية أداة ضغط في الأزمات",
    standfirst="يمر جزء كبير من تجارة الطاقة عبر ممرات ضيقة. قراءة في ما تكسبه الدول حين تلوّح "
    "بإغلاقها، وما تخسره إن فعلت.",
    minutes=7,
)
ITEMS = [MALACCA, RUNWAYS, SURVEY, CABLES, WARHEADS, WATER, STRAITS]


ALERT_FACTS = replace(
    FACTS,
    newsletter_name="IRIA Alerts",
    newsletter_slug="iria-alerts",
    look="alert",
    edition_slug="iria-alerts-2026-11-19-1",
    browser_url=f"{SITE}/editions/iria-alerts-2026-11-19-1/",
)
ALERT = replace(
    WARHEADS,
    topics=("Security", "Europe"),
    opening="The first question is a matter of law: outside territorial waters a warship may watch "
    "a suspect vessel far more easily than it may board one.",
)


def private() -> Facts:
    return replace(FACTS, is_private=True, browser_url=links.edition_url(7))


def many(count: int) -> list[Item]:
    """So many items, all different."""
    return [
        replace(
            ITEMS[number % len(ITEMS)],
            title=f"{ITEMS[number % len(ITEMS)].title} ({number})",
            url=f"{SITE}/articles/number-{number}/",
        )
        for number in range(count)
    ]


def composed(facts: Facts = FACTS, items: list[Item] = ITEMS) -> mail.Body:
    """The mail as one reader gets it, before it is encoded."""
    mark = rendering.mark_for(facts, items)
    values = {
        "why": WHY,
        "preferences_url": f"{SITE}/preferences/token/",
        "unsubscribe_url": f"{SITE}/u/token",
    }
    return messages.filled(rendering.compose(facts, items, mark=mark), values, mark=mark)


def compiled(facts: Facts = FACTS, items: list[Item] = ITEMS) -> messages.Compiled:
    mark = rendering.mark_for(facts, items)
    body = rendering.compose(facts, items, mark=mark)
    return messages.compile(messages.head(facts, body.subject, mark=mark), body, mark=mark)


def compiled_text(facts: Facts = FACTS, items: list[Item] = ITEMS) -> messages.Compiled:
    """The same for readers who want no HTML."""
    mark = rendering.mark_for(facts, items)
    body = rendering.compose(facts, items, mark=mark, is_text=True)
    head = messages.head(facts, body.subject, mark=mark)
    return messages.compile_text(head, body, mark=mark)


def make_edition(items: list[Item] = ITEMS, **newsletter: object) -> Edition:
    """The same edition as rows. The first item has rank 0."""
    values = {
        "slug": "iria-weekly",
        "cadence": Cadence.WEEKLY,
        "weekday": Weekday.MONDAY,
        "wall_time": time(7, 0),
        "zone": "Europe/Berlin",
    }
    edition = Edition.objects.create(
        newsletter=make_newsletter(**{"name": "IRIA Weekly", **values, **newsletter}),
        slot=utc("2026-11-23 06:00"),
        slug="iria-weekly-2026-11-23",
        due_at=utc("2026-11-23 06:00"),
        expires_at=utc("2026-11-24 18:00"),
    )
    for rank, one in enumerate(items):
        EditionArticle.objects.create(edition=edition, article=_make_row(one), bit=1 << rank)
    return edition


def _make_row(one: Item) -> contents.Article:
    fields = {}
    if one.picture:
        fields = {
            "lead_alt": one.picture.alt,
            "lead_caption": one.picture.caption,
            "lead_credit": one.picture.credit,
        }
    article = make_article(
        one.title,
        topics=[make_topic(name, position=NAVIGATION.index(name)) for name in one.topics],
        slug=one.url.rstrip("/").rpartition("/")[2],
        kind=one.kind,
        standfirst=one.standfirst,
        byline=one.byline,
        language=one.language,
        published_at=one.published_at,
        reading_minutes=one.minutes,
        **fields,
    )
    if one.picture:  # the file itself is nobody's concern here: only its name and size are read
        name = one.picture.url.rpartition("/media/")[2]
        rows = contents.Article.objects.filter(pk=article.pk)
        rows.update(lead_image=name, lead_width=one.picture.width, lead_height=one.picture.height)
    return article
