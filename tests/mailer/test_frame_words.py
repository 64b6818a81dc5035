"""A newsletter speaks its own language around its articles, whoever reads it."""

import re
from dataclasses import fields, replace
from datetime import date

import pytest

from mailer import contents, frame_words, messages, wording
from tests import message_rules
from tests.factories import utc
from tests.mailer import samples

GERMAN = replace(samples.FACTS, newsletter_name="IRIA Woche", language="de")
WHY = messages.why_sentence(
    "IRIA Woche", date(2026, 2, 3), samples.NAVIGATION, all_topics=False, language="de"
)


def joined(facts, items):
    reader = messages.Recipient(5, 6, "reader@example.org", WHY)
    values = messages.values(reader, edition_id=7, at=utc("2026-11-23 07:00"))
    return messages.join(samples.compiled(facts, items), values)


@pytest.mark.parametrize("items", [samples.ITEMS, samples.ITEMS[:1]], ids=["many", "one"])
def test_a_german_newsletter_has_a_german_frame_and_keeps_every_rule(items):
    raw = joined(GERMAN, items)

    assert message_rules.broken_rules(raw, newsletter=True) == []
    message = message_rules.Message(raw, samples.SITE)
    assert message.tree.get("lang") == "de"
    for said in (message.one_line_text, message.html_text):
        assert "Sie haben IRIA Woche am 3. Februar 2026 bestätigt. Ihre Themen sind" in said
        assert "Themen oder Newsletter ändern" in said
        assert "Montag, 23. November 2026" in said
        for english in vars(frame_words.FRAMES["en"]).values():
            if len(english.split()) > 1 and "{" not in english:
                assert english not in said


def test_an_alert_of_a_german_newsletter_has_a_german_frame():
    facts = replace(samples.ALERT_FACTS, language="de")

    message = message_rules.Message(joined(facts, [samples.ALERT]), samples.SITE)

    assert message.tree.get("lang") == "de"
    assert "Abbestellen" in message.text
    assert "Unsubscribe" not in message.text


def test_the_language_of_the_newsletter_comes_with_its_content(db):
    edition = samples.make_edition(language="de")

    facts, _ = contents.load(edition.pk, 1)

    assert facts.language == "de"
    assert re.fullmatch(r"\w+, \d{1,2}\. \w+ \d{4}", facts.day)


def test_a_newsletter_without_words_of_its_language_has_an_english_frame():
    message = message_rules.Message(
        joined(replace(samples.FACTS, language="ja"), samples.ITEMS), samples.SITE
    )

    assert message.tree.get("lang") == "en"
    assert "In this edition" in message.text


@pytest.mark.parametrize("language", frame_words.FRAMES.keys() - {"en"})
def test_every_frame_has_all_words_with_the_same_values(language):
    english, theirs = frame_words.FRAMES["en"], frame_words.FRAMES[language]

    for field in fields(frame_words.Frame):
        places = [set(re.findall(r"\{\w+\}", getattr(f, field.name))) for f in (english, theirs)]
        assert places[0] == places[1], field.name
        assert getattr(theirs, field.name)


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2026, 11, 3), date(2026, 11, 17), "3. bis 17. November"),
        (date(2026, 10, 28), date(2026, 11, 17), "28. Oktober bis 17. November"),
        (date(2026, 12, 28), date(2027, 1, 5), "28. Dezember 2026 bis 5. Januar 2027"),
        (date(2026, 11, 3), date(2026, 11, 3), "3. November"),
    ],
)
def test_the_days_of_a_pause_are_said_in_german(first, last, said):
    assert wording.while_away(first, last, "de") == f"Während Sie weg waren, {said}"
