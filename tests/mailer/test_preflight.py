"""What stops an edition and what only warns, each rule on its own values."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from mailer import link_checks, preflight, previewing, rendering
from mailer.models import Edition, EditionState
from mailer.preflight import Place
from mailer.reach import Usual
from subscribers import links
from subscribers.models import Approval
from tests import factories
from tests.mailer import editions as ways
from tests.mailer import samples

pytestmark = pytest.mark.django_db
SITE = samples.SITE


def loaded(**fields) -> preflight.Loaded:
    newsletter = ways.daily(2, approval=Approval.PERSON)
    edition = ways.open_now(newsletter)
    for name in [name for name in fields if name in {"subject", "introduction", "note"}]:
        setattr(edition, name, fields.pop(name))
    edition.save()
    return replace(preflight.load(edition), **fields)


def said(rule, value: preflight.Loaded) -> list[tuple[str, bool]]:
    return [(finding.sentence, finding.is_blocking) for finding in rule(value)]


def test_an_edition_in_order_has_no_findings():
    assert preflight.check(loaded().edition) == []


@pytest.mark.parametrize("name", ["LEGAL_NAME", "POSTAL_ADDRESS", "CONTACT_ADDRESS"])
def test_a_sender_without_name_or_address_stops_it(name, settings):
    value = loaded()
    setattr(settings, name, " ")

    [(sentence, is_blocking)] = said(preflight.sender, value)

    assert "of the sender is missing." in sentence
    assert is_blocking


def test_a_part_without_unsubscribe_link_stops_it():
    value = loaded()
    unsubscribe = links.unsubscribe_url(links.NOBODY)
    text = value.preview.text.replace(unsubscribe, "")

    found = said(preflight.sender, replace(value, preview=replace(value.preview, text=text)))

    assert found == [("The text part has no unsubscribe link.", True)]


def test_an_edition_without_articles_stops():
    value = loaded()
    value.edition.items.all().delete()

    [finding] = preflight.stops(value.edition)

    assert finding.sentence == "It carries no article."


def test_a_mail_that_is_too_large_stops_and_a_large_one_warns():
    value = loaded()

    def html(size: int) -> preflight.Loaded:
        return replace(value, preview=replace(value.preview, html="x" * size))

    assert said(preflight.body, html(preflight.WARN_BYTES)) == []
    assert said(preflight.body, html(rendering.LIMIT))[0][1] is False
    assert said(preflight.body, html(rendering.LIMIT + 1)) == [
        ("Its HTML has 100,001 of at most 100,000 bytes.", True)
    ]


@pytest.mark.parametrize("text", ["Dear {{ name }}", "{% if x %}", "Hello *|FNAME|*", "%%first%%"])
def test_a_place_holder_that_nobody_fills_stops_it(text):
    [(sentence, is_blocking)] = said(preflight.place_holders, loaded(introduction=text))

    assert "would be sent as it stands" in sentence
    assert is_blocking


def test_a_link_of_ours_that_leads_nowhere_stops_it():
    there = factories.make_article(slug="is-there")
    factories.make_article(slug="is-draft", state="draft")
    note = (
        f"See {SITE}/articles/{there.slug}/, {SITE}/articles/is-draft/ and {SITE}/articles/gone/."
    )

    found = said(preflight.articles, loaded(note=note))

    assert found == [
        ("The link to /articles/gone/ leads nowhere.", True),
        ("The link to /articles/is-draft/ leads nowhere.", True),
    ]


def test_an_article_that_is_not_published_any_more_stops_it():
    value = loaded()
    article = value.articles[0]

    [finding] = preflight.articles(replace(value, unpublished=frozenset([article.pk])))

    assert (finding.place, finding.number) == (Place.ARTICLE, article.pk)


def test_a_picture_without_alt_text_or_credit_stops_it():
    edition = samples.make_edition([samples.MALACCA])
    value = preflight.load(edition)
    value.articles[0].lead_alt, value.articles[0].lead_credit = "", " "

    found = said(preflight.pictures, value)

    title = samples.MALACCA.title
    assert found == [
        (f"The picture of “{title}” has no alt text.", True),
        (f"The picture of “{title}” has no credit.", True),
    ]
    alert = replace(value, facts=replace(value.facts, look="alert"))
    assert said(preflight.pictures, alert) == []


def test_heavy_and_missing_files_warn(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    value = loaded()
    article = value.articles[0]
    article.lead_image.storage.save("articles/heavy.png", ContentFile(b"x" * 70_000))
    article.lead_image.name = "articles/heavy.png"
    heavy = said(preflight.weight, value)
    article.lead_image.name = "articles/gone.png"

    assert heavy == [("The picture articles/heavy.png has 70 kB; 60 are plenty.", False)]
    assert said(preflight.weight, value) == [("The file articles/gone.png is gone.", False)]


def test_a_long_subject_and_the_one_of_last_time_warn():
    value = loaded(
        subject="A subject that goes on for a good deal longer than any phone will show it"
    )

    found = said(preflight.subject, replace(value, earlier_subject=value.edition.subject))

    assert found == [
        ("The subject has 73 characters; phones show about 40.", False),
        ("The subject is that of the last edition.", False),
    ]


@pytest.mark.parametrize(
    ("readers", "says"),
    [
        (140, "140 readers, 40% more than on average of the last 4 editions."),
        (60, "60 readers, 40% fewer than on average of the last 4 editions."),
        (125, None),
        (0, "Nobody follows it now, so there is nobody to send to."),
    ],
)
def test_unusually_many_or_few_readers_warn_and_none_stop_it(readers, says):
    value = replace(loaded(), readers=readers, usual=Usual(4, 100))

    assert said(preflight.readers, value) == ([(says, readers == 0)] if says else [])


def test_usual_is_the_mean_of_the_last_four_editions():
    value = loaded()
    newsletter = value.edition.newsletter
    for number, candidates in enumerate([500, 10, 20, 30, 40]):
        Edition.objects.create(
            newsletter=newsletter,
            slug=f"earlier-{number}",
            slot=timezone.now() - timedelta(days=9 - number),
            due_at=timezone.now(),
            expires_at=timezone.now(),
            state=EditionState.DONE,
            candidates=candidates,
            approved_at=timezone.now(),
            content_hash="a" * 64,
            frozen_at=timezone.now(),
        )

    assert preflight.load(value.edition).usual == Usual(4, 25)


def test_links_to_other_sites_are_found_without_what_ends_a_sentence():
    text = f"See https://un.org/a?b=1, (http://x.example/) and {SITE}/articles/a/ or {SITE}."

    assert link_checks.links_in(text, text) == ["https://un.org/a?b=1", "http://x.example/"]


def test_a_dead_link_warns_for_an_hour_after_somebody_asked(monkeypatch):
    answers = {"https://dead.example/": 404, "https://shy.example/": 403}
    monkeypatch.setattr(link_checks.fetching, "look", lambda url, within: answers[url])
    value = loaded(note=" ".join([*answers, "http://plain.example/"]))
    assert link_checks.known(link_checks.of(value.edition)) == {}
    monkeypatch.setitem(answers, "http://plain.example/", 200)

    link_checks.check(link_checks.of(value.edition))

    found = preflight.check(value.edition)
    assert [f.sentence for f in found] == ["https://dead.example/ answers 404 Not Found."]
    assert not found[0].is_blocking


def test_a_preview_is_the_message_of_the_cohort_byte_for_byte():
    edition = ways.sending(ways.daily(1, articles=2))
    cohort = edition.cohorts.get()
    at = timezone.now()

    stored = previewing.of(cohort, at=at)
    live = previewing.of(previewing.cohort_of(edition, articles=cohort.list), at=at)
    cohort.message = None
    rendered = previewing.of(cohort, at=at)

    assert stored.message == live.message == rendered.message
    assert links.unsubscribe_url(links.NOBODY) in stored.html
