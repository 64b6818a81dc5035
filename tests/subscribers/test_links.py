from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from subscribers import links


def token_of(url):
    return urlsplit(url).path.strip("/").split("/")[-1]


def make_all(number=7):
    now = timezone.now()
    return {
        "unsubscribe": token_of(links.unsubscribe_url(number)),
        "preferences": token_of(links.preferences_url(number, now)),
        "confirm": token_of(links.confirm_url(number, now)),
        "undo": token_of(links.undo_url(number, now)),
        "address": token_of(links.new_address_url(number, now)),
        "less": links.less_url(number, now, "weekly").split("/")[-3],
    }


READERS = {
    "unsubscribe": links.read_unsubscribe,
    "preferences": links.read_preferences,
    "confirm": links.read_confirm,
    "undo": links.read_undo,
    "address": links.read_new_address,
    "less": links.read_less,
}


@pytest.mark.parametrize("purpose", READERS)
def test_a_link_tells_the_number_it_was_made_for(purpose):
    assert READERS[purpose](make_all(7)[purpose]) == 7
    assert READERS[purpose](make_all(7)[purpose].upper()) == 7


@pytest.mark.parametrize("purpose", READERS)
@pytest.mark.parametrize("other", READERS)
def test_a_link_for_one_purpose_is_refused_by_every_other(purpose, other):
    if purpose != other:
        with pytest.raises(links.BadLink):
            READERS[other](make_all()[purpose])


@pytest.mark.parametrize("purpose", READERS)
def test_a_link_that_is_cut_lengthened_or_changed_is_refused(purpose):
    token = make_all()[purpose]
    swapped = "b" if token[3] != "b" else "c"
    for bad in ["", token[:-1], token[1:], token + "a", token[:3] + swapped + token[4:], "ü" * 26]:
        with pytest.raises(links.BadLink):
            READERS[purpose](bad)


def test_an_unsubscribe_link_has_57_characters_on_a_host_of_20(settings):
    settings.SITE_URL = "https://" + "h" * 20
    url = links.unsubscribe_url(2**40 - 1)

    assert len(url) == 57
    assert len(token_of(url)) == 26


def test_links_lead_where_the_pages_are(settings):
    tokens = make_all()
    assert links.unsubscribe_url(7) == settings.SITE_URL + reverse(
        "unsubscribe", args=[tokens["unsubscribe"]]
    )
    for name in ("preferences", "confirm", "undo"):
        path = reverse(name, args=[tokens[name]])
        assert getattr(links, f"{name}_url")(7, timezone.now()).startswith(
            settings.SITE_URL + path[:10]
        )


@pytest.mark.parametrize(
    ("purpose", "works_for"),
    [
        ("confirm", timedelta(days=3)),
        ("preferences", timedelta(days=180)),
        ("undo", timedelta(days=1)),
        ("address", timedelta(days=3)),
        ("less", timedelta(days=1)),
    ],
)
def test_a_dated_link_ends_when_its_time_is_over(purpose, works_for):
    token = make_all()[purpose]
    now = timezone.now()
    with time_machine.travel(now + works_for - timedelta(minutes=1)):
        assert READERS[purpose](token) == 7
    with time_machine.travel(now + works_for), pytest.raises(links.BadLink):
        READERS[purpose](token)


def test_a_link_dated_ahead_is_refused():
    token = token_of(links.confirm_url(7, timezone.now() + timedelta(hours=1)))

    with pytest.raises(links.BadLink):
        links.read_confirm(token)


def test_something_greater_may_ask_for_a_younger_preferences_link():
    token = make_all()["preferences"]
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert links.read_preferences(token) == 7
        with pytest.raises(links.BadLink):
            links.read_preferences(token, within=timedelta(hours=1))


def test_an_unsubscribe_link_survives_two_rotations_of_the_secret_and_any_time(settings):
    token = make_all()["unsubscribe"]
    first = settings.MESSAGE_KEY_SECRET
    settings.MESSAGE_KEY_SECRET = "third " * 8
    settings.MESSAGE_KEY_FALLBACKS = ["second " * 8, first]

    with time_machine.travel(timezone.now() + timedelta(days=4000)):
        assert links.read_unsubscribe(token) == 7


def test_a_secret_that_is_no_longer_known_signs_nothing(settings):
    token = make_all()["unsubscribe"]
    settings.MESSAGE_KEY_SECRET = "third " * 8

    with pytest.raises(links.BadLink):
        links.read_unsubscribe(token)


def test_a_mail_can_be_sent_to_the_same_token_as_the_page(settings):
    settings.BOUNCE_DOMAIN = "b.ir-ia.example"
    address = links.unsubscribe_address(7)

    assert address == f"unsubscribe+{token_of(links.unsubscribe_url(7))}@b.ir-ia.example"
    assert len(address.partition("@")[0]) <= 64


def test_when_a_preferences_link_was_made_can_be_read_from_it():
    now = timezone.now().replace(microsecond=0)
    assert links.preferences_issued_at(token_of(links.preferences_url(7, now))) == now
    with pytest.raises(links.BadLink):
        links.preferences_issued_at(make_all()["confirm"])
