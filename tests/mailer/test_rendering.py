"""How an edition looks: what is read, where it stands, how large it may be."""

from dataclasses import replace

import lxml.html
import pytest

from iria_news import mail
from mailer import contents, layout, messages, rendering, wording
from mailer.models import Cohort
from subscribers.models import Look
from tests import message_rules
from tests.factories import make_article, utc
from tests.mailer import samples

ALL = 0b1111111


# --- the look -------------------------------------------------------------------------------------
def test_the_weekly_digest_looks_as_agreed(snapshot):
    body = samples.composed()

    snapshot("digest.html", body.html)
    snapshot("digest.txt", body.text)
    assert body.subject == "The narrow sea: who keeps the Strait of Malacca open, and 6 more"


def test_an_alert_looks_as_agreed(snapshot):
    body = samples.composed(samples.ALERT_FACTS, [samples.ALERT])

    snapshot("alert.html", body.html)
    snapshot("alert.txt", body.text)
    assert body.subject == "Counting warheads without a treaty"


@pytest.mark.parametrize("item", [samples.SURVEY, samples.STRAITS, samples.RUNWAYS])
@pytest.mark.parametrize("look", ["digest", "alert"])
def test_a_single_article_in_any_language_keeps_every_rule(item, look):
    facts = replace(samples.FACTS, look=look)
    reader = messages.Recipient(5, 6, "reader@example.org", samples.WHY)
    values = messages.values(reader, edition_id=7, at=utc("2026-11-23 07:00"))

    raw = messages.join(samples.compiled(facts, [item]), values)

    assert message_rules.broken_rules(raw, newsletter=True) == []
    assert "In this edition" not in message_rules.Message(raw, samples.SITE).text


def test_an_article_carries_its_own_language_and_direction():
    tree = lxml.html.document_fromstring(samples.composed().html)

    cells = {cell.get("lang"): cell for cell in tree.xpath("//td[@lang]")}
    assert (cells["ar"].get("dir"), cells["ar"].get("align")) == ("rtl", "right")
    assert (cells["ja"].get("dir"), cells["ja"].get("align")) == ("ltr", "left")
    assert "١٦ نوفمبر · ٧\N{NO-BREAK SPACE}دقائق" in cells["ar"].text_content()
    assert "11月18日 · 8分" in cells["ja"].text_content()


def test_what_an_editor_writes_is_shown_and_never_run():
    hostile = replace(
        samples.RUNWAYS,
        title='<script>alert("1")</script> {{ settings.SECRET_KEY }}',
        standfirst="{% debug %} <!--text--> https://0123456789abcdef0123.invalid/why/ & more",
        byline="<b>desk</b>",
    )
    body = samples.composed(items=[samples.MALACCA, hostile])

    assert "<script" not in body.html
    assert "{{ settings.SECRET_KEY }}" in body.html
    assert "&lt;b&gt;desk&lt;/b&gt;" in body.html
    assert "<script>alert" in body.text  # a text part runs nothing and escapes nothing
    assert "{% debug %} <!--text-->" in body.text
    assert "invalid/why/" in body.text


# --- where an article stands ----------------------------------------------------------------------
def test_the_first_article_leads_and_the_others_go_by_topic_in_the_order_of_the_navigation():
    shuffled = [samples.WATER, samples.CABLES, samples.SURVEY, samples.STRAITS]

    digest = layout.arrange(shuffled)

    assert digest.lead.item is samples.WATER
    assert [section.topic for section in digest.sections] == [
        "Asia-Pacific",
        "Security",
        "Middle East",
    ]
    assert [entry.number for entry in digest.entries] == [1, 2, 3, 4]


def test_two_items_stand_side_by_side_one_beside_its_picture_and_a_left_over_alone():
    rows = layout.arrange(samples.ITEMS).sections[1].rows
    three = layout.arrange(
        [samples.MALACCA, samples.RUNWAYS, samples.SURVEY, samples.RUNWAYS]
    ).sections[0]

    assert [row.setting for row in rows] == ["beside", "full"]
    assert [row.setting for row in three.rows] == ["pair", "full"]


def test_an_article_without_a_topic_comes_last():
    homeless = replace(samples.RUNWAYS, topics=(), position=0)

    digest = layout.arrange([samples.MALACCA, homeless, samples.WATER])

    assert [section.topic for section in digest.sections] == ["Middle East", "More"]


def test_a_picture_is_as_wide_as_its_column():
    digest = layout.arrange(samples.ITEMS)

    assert (digest.lead.picture.width, digest.lead.picture.height) == (600, 300)
    [beside] = [entry for entry in digest.entries[1:] if entry.picture]
    assert (beside.picture.width, beside.picture.height) == (284, 142)


# --- how large it may be --------------------------------------------------------------------------
def test_fifteen_items_stay_within_their_budget():
    body = samples.composed(items=samples.many(15))

    assert len(body.html.encode()) < 70_000
    assert len(body.text.encode()) < 15_000


@pytest.mark.parametrize("count", [39, 62])
def test_a_large_mail_loses_texts_from_the_end_but_no_article(count):
    items = samples.many(count)
    body = samples.composed(items=items)

    assert len(body.html.encode()) <= rendering.LIMIT - rendering.ROOM_FOR_VALUES
    assert "<!--text" not in body.html
    assert all(item.url in body.html and item.standfirst[:20] in body.text for item in items)


def test_the_texts_at_the_end_go_first():
    tree = lxml.html.document_fromstring(samples.composed(items=samples.many(31)).html)

    cells = tree.xpath("//td[starts-with(@class, 'item')]")
    with_text = [bool(cell.xpath("p[starts-with(@class, 'text')]")) for cell in cells]
    assert with_text == sorted(with_text, reverse=True)
    assert True in with_text
    assert False in with_text


def test_a_mail_that_cannot_be_made_small_enough_is_refused():
    items = [replace(item, title=item.title * 9) for item in samples.many(62)]

    with pytest.raises(rendering.TooLarge):
        samples.composed(items=items)


def test_a_mail_without_articles_is_refused():
    with pytest.raises(rendering.NoArticles):
        samples.composed(items=[])


# --- words ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "20 November"),
        ("de", "20. November"),
        ("fr", "20 novembre"),
        ("ja", "11月20日"),
        ("ar", "٢٠ نوفمبر"),
        ("xx", "20 November"),
    ],
)
def test_a_day_is_said_in_the_language_of_the_article(language, said):
    assert wording.day(samples.MALACCA.published_on, language) == said


@pytest.mark.parametrize(
    ("language", "minutes", "said"),
    [
        ("en", 1, "1\N{NO-BREAK SPACE}min"),
        ("de", 4, "4\N{NO-BREAK SPACE}Min."),
        ("ja", 4, "4分"),
        ("ar", 1, "دقيقة واحدة"),
        ("ar", 2, "دقيقتان"),
        ("ar", 9, "٩\N{NO-BREAK SPACE}دقائق"),
        ("ar", 12, "١٢\N{NO-BREAK SPACE}دقيقة"),
    ],
)
def test_minutes_are_said_in_the_language_of_the_article(language, minutes, said):
    assert wording.words(language).minutes(minutes) == said


def test_an_alert_says_the_hour_in_utc():
    assert samples.ALERT.meta_with_hour.endswith(
        "November 2026, 07:40 UTC · 8\N{NO-BREAK SPACE}min"
    )
    assert samples.SURVEY.meta_with_hour.endswith("2026年11月18日, 07:40 UTC · 8分")
    assert "١٦ نوفمبر ٢٠٢٦" in samples.STRAITS.meta_with_hour


def test_the_subject_is_the_lead_and_how_many_more():
    assert wording.subject_for([samples.WATER]) == samples.WATER.title
    assert wording.subject_for([samples.SURVEY, samples.WATER]).endswith("、ほか1本")
    assert wording.subject_for([samples.WATER, samples.CABLES]).endswith("reserve, and 1 more")
    assert wording.subject_for([samples.CABLES, samples.WATER]).endswith("who sails? And 1 more")


def test_the_preheader_names_whole_titles_in_at_most_130_characters():
    assert wording.preheader_for(samples.ITEMS[:3]) == (
        "Also: Small islands, long runways; 海底の静かな競争――測量船が語る東アジアの海"
    )
    assert len(wording.preheader_for(samples.many(40))) <= 132
    assert wording.preheader_for([samples.WATER]).startswith("Desalination supplies")


def test_an_editors_subject_and_preheader_win():
    facts = replace(samples.FACTS, subject="  Straits\nand cables ", preheader="What is in it.")

    body = samples.composed(facts)

    assert body.subject == "Straits and cables"
    assert "What is in it." in body.html


def test_a_title_of_two_lines_becomes_one_and_keeps_its_no_break_spaces():
    edition = samples.make_edition(
        [replace(samples.WATER, title="Qui paie\N{NO-BREAK SPACE}?\n Nous.")]
    )

    _, items = contents.load(edition.pk, 1)

    assert items[0].title == "Qui paie\N{NO-BREAK SPACE}? Nous."


# --- from rows ------------------------------------------------------------------------------------
pytestmark = pytest.mark.django_db


def cohort_of(edition, articles: int = ALL) -> Cohort:
    return Cohort.objects.create(edition=edition, language="en", list=articles, size=1)


def test_rows_read_give_the_values_they_were_made_from():
    facts, items = contents.load(samples.make_edition().pk, ALL)

    assert facts == samples.FACTS
    assert items == samples.ITEMS


@pytest.mark.parametrize("articles", [0b1, ALL])
def test_a_mail_is_read_in_three_queries_whatever_the_number(articles, django_assert_num_queries):
    cohort = cohort_of(samples.make_edition(), articles)

    with django_assert_num_queries(3):
        rendering.render(cohort)


def test_a_cohort_is_rendered_with_one_run_of_premailer_and_always_to_the_same_bytes():
    cohort = cohort_of(samples.make_edition())

    first, runs = rendering.render(cohort)

    assert runs == 1
    assert rendering.render(cohort)[0].to_bytes() == first.to_bytes()
    assert first.to_bytes() == samples.compiled().to_bytes()


def test_a_cohort_gets_its_own_articles_and_a_subject_that_keeps_its_word():
    compiled, _ = rendering.render(cohort_of(samples.make_edition(), 0b0011000))
    reader = messages.Recipient(5, 6, "reader@example.org", samples.WHY)
    values = messages.values(reader, edition_id=1, at=utc("2026-11-23 07:00"))
    raw = messages.join(compiled, values)

    message = message_rules.Message(raw, samples.SITE)
    assert message_rules.broken_rules(raw, newsletter=True) == []
    assert message_rules.subject(raw) == "When a cable breaks, who sails? And 1 more"
    assert "Malacca" not in message.html + message.text


def test_an_alert_brings_the_first_paragraph_that_says_something_new():
    edition = samples.make_edition([samples.WARHEADS], look=Look.ALERT)
    body = (
        f"<p>{samples.WARHEADS.standfirst}</p><p> </p><p>The <b>first</b> is law &amp; order.</p>"
    )
    edition.articles.update(body=body)

    _, items = contents.load(edition.pk, 1)

    assert items[0].opening == "The first is law & order."


def test_a_picture_from_elsewhere_is_left_out(settings):
    edition = samples.make_edition([samples.MALACCA])
    settings.MEDIA_URL = "https://pixel.example/"
    assert contents.load(edition.pk, 1)[1][0].picture is None

    settings.IMAGE_HOSTS = ["pixel.example"]
    picture = contents.load(edition.pk, 1)[1][0].picture
    assert picture.url == "https://pixel.example/articles/strait.png"


def test_the_date_is_that_of_the_newsletters_zone():
    edition = samples.make_edition([samples.WATER], zone="Asia/Tokyo")
    edition.slot = utc("2026-11-23 16:00")
    edition.save(update_fields=["slot"])

    facts, _ = contents.load(edition.pk, 1)

    assert facts.title == "IRIA Weekly, Tuesday 24 November 2026"


def test_a_preview_shows_the_mail_with_a_made_up_reader():
    body = rendering.preview(samples.make_edition(), ALL)

    assert "You confirmed IRIA Weekly on 23 November 2026." in body.text
    assert ".invalid" not in body.html + body.text
    assert isinstance(body, mail.Body)


def test_an_article_without_picture_standfirst_and_kind_is_shown_all_the_same():
    edition = samples.make_edition([samples.WATER])
    edition.items.update(
        article=make_article(
            "Bare", topics=[], standfirst="", kind="", published_at=utc("2026-11-20 07:00")
        )
    )
    compiled, _ = rendering.render(cohort_of(edition, 1))
    reader = messages.Recipient(5, 6, "reader@example.org", samples.WHY)
    raw = messages.join(compiled, messages.values(reader, edition_id=1, at=utc("2026-11-23 07:00")))

    assert message_rules.broken_rules(raw, newsletter=True) == []
