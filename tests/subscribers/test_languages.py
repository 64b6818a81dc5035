"""Readers are spoken to in their own language, from the form to the last mail."""

import hashlib
from email import message_from_bytes, policy
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from iria_news import languages
from subscribers import (
    addresses,
    consent,
    links,
    offers,
    passport,
    receiving,
    service_mails,
    signup,
)
from subscribers.models import (
    Cadence,
    ConsentEvent,
    MonthWeek,
    ServiceMail,
    ServiceMailKind,
    SignUpRequest,
    Subscriber,
    SubscriberState,
)
from tests import message_rules
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic
from tests.subscribers.conftest import aged
from tests.subscribers.test_preferences_page import sent

pytestmark = pytest.mark.django_db
GERMAN = {"accept-language": "de-DE,de;q=0.9,en;q=0.5"}
# What readers agreed to is proof: the words of a version never change. A new version gets a line.
WORDS_IN_GERMAN = {
    "form-2026-11": "804cee6fcbb61c6f",
    "band-2026-11": "e0f1376377fb9cbd",
    "confirm-2026-11": "4869538530308090",
    "choose-2026-11": "a34832e9b3507446",
    "leave-2026-11": "5632562c49b266cd",
    "less-2026-11": "34b969c759a514f0",
    "address-2026-11": "28a366f8515e88ca",
    "erase-2026-11": "a634c9cbd98c5ed4",
}


def text_of(response):
    return " ".join(response.content.decode().split())


def path_of(subscriber):
    return urlsplit(links.preferences_url(subscriber.pk, timezone.now())).path


@pytest.fixture
def daily():
    return make_newsletter("Daily", topics=[make_topic("Europe")])


def send(client, path="/subscribe/", headers=None, **fields):
    form = {"email": "mara@example.org", "form_age": aged(seconds=10), **fields}
    answer = client.post(path, form, headers=headers or {})
    receiving.process()
    return answer


# --- sign-up ------------------------------------------------------------------------------------


def test_a_sign_up_keeps_the_language_of_its_page_and_the_words_it_showed(daily, client):
    page = text_of(client.get("/subscribe/", headers=GERMAN))
    assert consent.words(consent.FORM, "de") in page
    assert '<input type="hidden" name="language" value="de">' in page

    answer = send(client, headers=GERMAN, choices="shown", newsletter="daily", topic="europe")

    assert answer["Location"] == "/subscribe/check-your-inbox/"
    assert Subscriber.objects.get().language == "de"
    event = ConsentEvent.objects.get()
    assert (event.wording, event.language) == (consent.FORM, "de")
    assert consent.shown(event).startswith("Mit dem Abonnieren bitten Sie uns")


def test_a_form_names_its_language_whatever_the_browser_asks_for(daily, client):
    answer = send(client, language="de")

    assert answer["Location"] == "/subscribe/check-your-inbox/?language=de"
    assert Subscriber.objects.get().language == "de"
    done = text_of(client.get(answer["Location"]))
    assert "Sehen Sie nun in Ihren Posteingang" in done


@pytest.mark.parametrize("named", ["ja", "xx", "", "DE", "../de"])
def test_a_language_that_we_do_not_have_is_as_good_as_none(daily, client, named):
    send(client, headers=GERMAN, language=named)

    assert Subscriber.objects.get().language == "de"


def test_the_frame_stays_in_the_language_of_its_address(daily, client):
    frame = "/embed/subscribe/?language=de"
    page = text_of(client.get(frame))
    assert "<b>IRIA</b> News abonnieren" in page
    assert f'action="{frame}"' in page

    wrong = send(client, frame, email="mara")
    assert "hat kein @-Zeichen" in text_of(wrong)
    asked = send(client, frame, email="mara@gmial.com")
    assert "Meinten Sie" in text_of(asked)
    assert f'href="{frame}"' in text_of(asked)
    done = send(client, frame)

    assert done["Location"] == "/embed/subscribe/check-your-inbox/?language=de"
    assert '<html lang="de">' in text_of(client.get(done["Location"]))
    assert ConsentEvent.objects.get().language == "de"


def test_one_more_press_keeps_the_language(daily, client):
    page = text_of(send(client, form_age="", language="de"))

    assert "Noch ein Klick" in page
    assert '<input type="hidden" name="language" value="de">' in page


def test_who_never_confirmed_is_written_to_in_the_language_of_the_newest_form(daily, client):
    send(client)
    send(client, headers=GERMAN)

    assert Subscriber.objects.get().language == "de"


def test_a_form_changes_no_language_of_somebody_who_confirmed(daily, client):
    make_subscriber("mara@example.org", language="de")

    send(client)

    assert Subscriber.objects.get().language == "de"


@pytest.mark.parametrize("path", ["/subscribe/", "/embed/subscribe/", "/preferences/"])
def test_the_answer_is_the_same_for_known_and_unknown_addresses_in_german_too(daily, client, path):
    make_subscription(daily, subscriber=make_subscriber("known@example.org", language="en"))
    answers = []
    for address in ("known@example.org", "unknown@example.org"):
        answer = send(client, path, headers=GERMAN, email=address)
        answers.append((answer.status_code, answer["Location"], answer.content))
    assert answers[0] == answers[1]


def test_a_request_by_a_program_names_a_language_but_showed_english_words():
    newsletter, topic = make_newsletter(), make_topic()
    signup.receive(
        addresses.parse("mara@example.org"),
        newsletters=[newsletter],
        topics=[topic],
        source="api:site",
        wording=consent.API,
        language="de",
    )
    receiving.process()

    assert Subscriber.objects.get().language == "de"
    assert ConsentEvent.objects.get().language == "en"
    assert not SignUpRequest.objects.exists()


# --- mails --------------------------------------------------------------------------------------

SUBJECTS = {
    ServiceMailKind.CONFIRMATION: "Bitte bestätigen Sie Ihr Abo von Tägliche Übersicht",
    ServiceMailKind.INVITATION: "Eine Einladung zu Tägliche Übersicht",
    ServiceMailKind.WELCOME: "Willkommen bei Tägliche Übersicht",
    ServiceMailKind.PREFERENCES: "Ihr Link zu den Einstellungen bei IRIA News",
    ServiceMailKind.NEW_ADDRESS: "Bitte bestätigen Sie Ihre neue Adresse",
    ServiceMailKind.OLD_ADDRESS: "Ihre Adresse bei IRIA News wurde geändert",
}


@pytest.mark.parametrize("kind", ServiceMailKind.values)
def test_each_service_mail_is_in_the_language_of_its_reader(kind, sink):
    asks = kind in (ServiceMailKind.CONFIRMATION, ServiceMailKind.INVITATION)
    make_topic("Europa")
    newsletter = make_newsletter("Tägliche Übersicht", slug="u", description="Alles Neue.")
    reader = make_subscriber(
        language="de", state=SubscriberState.PENDING if asks else SubscriberState.ACTIVE
    )
    make_subscription(newsletter, subscriber=reader, confirmed=not asks)
    elsewhere = "neu@example.org" if kind.endswith("address") else ""
    ServiceMail.objects.create(
        subscriber=reader,
        kind=kind,
        newsletter=newsletter if kind in ("invitation", "welcome") else None,
        to_address=elsewhere,
        asked_at=timezone.now(),
    )

    assert service_mails.send_due() == 1

    [taken] = sink.taken
    assert message_rules.broken_rules(taken.raw, newsletter=False) == []
    parsed = message_from_bytes(taken.raw, policy=policy.default)
    assert parsed["Subject"] == SUBJECTS[ServiceMailKind(kind)]
    html = parsed.get_body(["html"]).get_content()
    text = " ".join(parsed.get_body(["plain"]).get_content().split())
    assert '<html lang="de" dir="ltr">' in html
    assert not {"the", "you", "your", "Your"} & {*html.split(), *text.split()}
    if kind != ServiceMailKind.OLD_ADDRESS:  # which says nothing of newsletters
        assert "Kommt jeden Tag um 06:00 Uhr (UTC)" in text


def test_a_reader_whose_language_has_no_catalogue_gets_english_mails(daily, sink):
    reader = make_subscriber(language="ja")
    make_subscription(daily, subscriber=reader)
    service_mails.ask_for_link(reader)

    service_mails.send_due()

    assert message_rules.subject(sink.taken[0].raw) == "Your preferences link for IRIA News"


# --- behind a link ------------------------------------------------------------------------------


def test_a_page_behind_a_link_speaks_the_language_of_its_reader(daily, client):
    german = make_subscription(daily, subscriber=make_subscriber(language="de"))
    english = make_subscription(daily, subscriber=make_subscriber(language="en"))

    for place, title in ((german, "Ihre Einstellungen"), (english, "Your preferences")):
        page = text_of(client.get(path_of(place.subscriber), headers={"accept-language": "fr"}))
        assert f"<h1>{title}</h1>" in page
    leaves = urlsplit(links.unsubscribe_url(german.pk)).path
    assert "<h1>Daily abbestellen?</h1>" in text_of(client.get(leaves))
    assert "<h1>Erledigt. Daily ist beendet.</h1>" in text_of(client.post(f"{leaves}?by=page"))
    assert ConsentEvent.objects.get().language == "de"


def test_a_bad_link_is_explained_in_the_language_of_the_browser(client):
    page = text_of(client.get("/confirm/nothing/", headers=GERMAN))

    assert "Dieser Link geht nicht mehr" in page


def test_the_language_is_chosen_beside_hour_and_format_and_recorded(daily, client):
    place = make_subscription(daily)
    path = path_of(place.subscriber)
    page = text_of(client.get(path))
    assert '<option value="en" lang="en" selected>English</option>' in page
    assert '<option value="de" lang="de">Deutsch</option>' in page

    answer = client.post(path, sent(language="de"))

    place.subscriber.refresh_from_db()
    assert place.subscriber.language == "de"
    event = ConsentEvent.objects.get()
    assert (event.kind, event.source) == ("changed", "preferences: language")
    assert event.language == "en"  # the page that was pressed
    saved = text_of(client.get(answer["Location"]))
    assert "<b>Gespeichert.</b>" in saved
    assert '<option value="de" lang="de" selected>Deutsch</option>' in saved


def test_a_form_without_the_language_leaves_it_as_it_is(daily, client):
    place = make_subscription(daily, subscriber=make_subscriber(language="de"))

    client.post(path_of(place.subscriber), sent())

    place.subscriber.refresh_from_db()
    assert place.subscriber.language == "de"
    assert not ConsentEvent.objects.exists()


def test_a_language_chosen_elsewhere_is_offered_and_kept(daily, client):
    place = make_subscription(daily, subscriber=make_subscriber(language="ja"))
    path = path_of(place.subscriber)
    assert '<option value="ja" lang="ja" selected>日本語</option>' in text_of(client.get(path))

    client.post(path, sent(language="ja"))

    place.subscriber.refresh_from_db()
    assert place.subscriber.language == "ja"


@pytest.mark.parametrize("wrong", ["fr", "xx", "", "<b>"])
def test_a_language_that_is_not_in_the_list_has_a_sentence_and_changes_nothing(
    daily, client, wrong
):
    place = make_subscription(daily)

    answer = client.post(path_of(place.subscriber), sent(language=wrong, hour="7"))

    assert answer.status_code == 422
    assert "is not in our list. Choose it from the list." in text_of(answer)
    place.subscriber.refresh_from_db()
    assert (place.subscriber.language, place.subscriber.hour) == ("en", None)


def test_mistakes_are_explained_in_german(daily, client):
    place = make_subscription(daily, subscriber=make_subscriber(language="de"))

    answer = client.post(
        path_of(place.subscriber),
        sent(hour="25", zone="Asia/Tokio", pause="until", until="2020-03-03", topic__daily=[]),
    )

    page = text_of(answer)
    assert "Bitte sehen Sie sich einige Stellen noch einmal an" in page
    assert "Die Stunde „25“ gibt es auf unserer Uhr nicht." in page
    assert "Die Zeitzone „Asia/Tokio“ steht nicht in unserer Liste." in page
    assert "Der Tag, an dem es weitergeht, 3. März 2020, ist vergangen." in page
    assert "Kreuzen Sie mindestens ein Thema von Daily an" in page


# --- words --------------------------------------------------------------------------------------


def test_the_words_of_a_version_never_change_in_german_either():
    said = {
        version: hashlib.sha256(consent.words(version, "de").encode()).hexdigest()[:16]
        for version in consent.WORDINGS
        if consent.language_of(version, "de") == "de"
    }

    assert said == WORDS_IN_GERMAN


def test_the_file_of_a_persons_data_holds_the_words_they_read(daily, client):
    reader = make_subscriber(language="de")
    make_subscription(daily, subscriber=reader)
    with languages.speaking("de"):
        consent.record(reader, "changed", wording=consent.CHOOSE, source="preferences")

    [event] = passport.of(reader)["consent"]

    assert event["language"] == "de"
    assert event["words_shown"].startswith("Wir schicken Ihnen, was hier angekreuzt ist")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"cadence": Cadence.AT_ONCE}, "sofort, wenn ein Artikel erscheint"),
        ({"cadence": Cadence.DAILY}, "jeden Tag um 06:00 Uhr (UTC)"),
        ({"cadence": Cadence.WEEKDAYS}, "montags bis freitags um 06:00 Uhr (UTC)"),
        ({"cadence": Cadence.WEEKLY, "weekday": 5}, "samstags um 06:00 Uhr (UTC)"),
        ({"cadence": Cadence.DAYS, "days": 0b1011}, "montags, dienstags und donnerstags um"),
        ({"cadence": Cadence.MONTHLY, "month_day": 15}, "am 15. jedes Monats um"),
        (
            {"cadence": Cadence.MONTHLY, "month_week": MonthWeek.LAST, "weekday": 0},
            "am letzten Montag jedes Monats um",
        ),
    ],
)
def test_when_a_newsletter_comes_is_said_in_german(fields, said):
    newsletter = make_newsletter(**fields)

    with languages.speaking("de"):
        assert offers.comes(newsletter).startswith(said)
