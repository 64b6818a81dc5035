"""The form in another site's frame (W8), and that limits hold for every way in (W6)."""

import pytest
from django.test import Client

from subscribers import consent, limits, receiving
from subscribers.models import ConsentEvent, SignUpRequest, Subscriber
from tests.factories import make_newsletter, make_topic
from tests.subscribers.conftest import aged

pytestmark = pytest.mark.django_db
FRAME = "/embed/subscribe/"
FRAME_DONE = "/embed/subscribe/check-your-inbox/"
CROSS_SITE = {
    "origin": "https://news.ir-ia.example",
    "sec-fetch-site": "same-origin",
    "sec-fetch-dest": "iframe",
}


@pytest.fixture
def offered():
    make_topic("Europe")
    return make_newsletter("IRIA Daily")


def text_of(response):
    return " ".join(response.content.decode().split())


def send(client, **fields):
    fields = {"email": "mara@example.org", "form_age": aged(seconds=10), **fields}
    return client.post(FRAME, fields, headers=CROSS_SITE)


def test_the_whole_way_in_the_frame_needs_no_cookie(offered):
    client = Client(enforce_csrf_checks=True)
    assert "Subscribe to <b>IRIA</b> News" in text_of(client.get(FRAME))

    response = send(client)

    assert (response.status_code, response["Location"]) == (303, FRAME_DONE)
    assert "Now check your inbox" in text_of(client.get(FRAME_DONE))
    assert not client.cookies
    receiving.process()
    event = ConsentEvent.objects.get()
    assert event.wording == consent.BAND
    assert Subscriber.objects.get().address == "mara@example.org"


def test_the_words_in_the_frame_are_those_that_are_kept(offered, client):
    assert consent.WORDINGS[consent.BAND] in text_of(client.get(FRAME))


@pytest.mark.parametrize(
    ("origins", "ancestors"),
    [
        ([], "frame-ancestors 'none'"),
        (
            ["https://www.example.org", "https://*.example.net"],
            "frame-ancestors https://www.example.org https://*.example.net",
        ),
    ],
)
def test_only_chosen_sites_may_show_the_frame_and_no_other_page(
    offered, client, settings, origins, ancestors
):
    settings.EMBED_ORIGINS = origins

    for response in (
        client.get(FRAME),
        client.get(FRAME_DONE),
        send(client, email="nothing"),
        client.put(FRAME),
    ):
        policy = [part.strip() for part in response["Content-Security-Policy"].split(";")]
        assert ancestors in policy
        assert "script-src 'none'" in policy
        assert "X-Frame-Options" not in response

    for path in ("/", "/subscribe/", "/subscribe/check-your-inbox/", "/confirm/x/"):
        response = client.get(path)
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
        assert response["X-Frame-Options"] == "DENY"


def test_mistakes_stay_in_the_frame_with_what_was_typed(offered, client):
    response = send(client, email="mara.example.org")

    page = text_of(response)
    assert response.status_code == 422
    assert 'value="mara.example.org"' in page
    assert "Error: The address “mara.example.org” has no @ sign." in page
    assert '<body class="frame">' in page
    assert f'action="{FRAME}"' in page


def test_a_typing_mistake_is_asked_about_in_the_frame(offered, client):
    response = send(client, email="mara@gmial.com")

    page = text_of(response)
    assert response.status_code == 422
    assert "Did you mean <b>mara@gmail.com</b>?" in page
    assert '<body class="frame">' in page
    assert f'action="{FRAME}"' in page
    assert send(client, email="mara@gmial.com", suggested="yes")["Location"] == FRAME_DONE


@pytest.mark.parametrize("value", ["", "rubbish"])
def test_without_a_good_age_the_frame_asks_for_one_more_press(offered, client, value):
    response = send(client, form_age=value)

    page = text_of(response)
    assert response.status_code == 422
    assert "Press once more" in page
    assert f'action="{FRAME}"' in page
    assert '<body class="frame">' in page
    assert not SignUpRequest.objects.exists()


def test_a_program_in_the_frame_is_told_that_all_went_well(offered, client):
    assert send(client, website="https://spam.example")["Location"] == FRAME_DONE
    assert not SignUpRequest.objects.exists()


def test_with_nothing_to_join_the_frame_says_so(client):
    assert "no newsletter to join at present" in text_of(client.get(FRAME))


def test_the_frame_is_found_by_no_search_engine(offered, client):
    assert '<meta name="robots" content="noindex, nofollow">' in text_of(client.get(FRAME))


# --- limits on every path -------------------------------------------------------------------------

WAYS_IN = ["/subscribe/", FRAME, "/preferences/"]


@pytest.mark.parametrize("path", WAYS_IN)
def test_the_21st_form_of_a_network_is_refused_whichever_way_it_comes(offered, client, path):
    for number in range(limits.PER_NETWORK):
        way = WAYS_IN[number % len(WAYS_IN)]
        fields = {"email": f"mara{number}@example.org", "form_age": aged(seconds=10)}
        assert client.post(way, fields).status_code == 303

    fields = {"email": "mara@example.org", "form_age": aged(seconds=10)}
    response = client.post(path, fields)

    assert response.status_code == 429
    assert "This network has sent 20 sign-ups in an hour" in text_of(response)
    assert 3500 < int(response["Retry-After"]) <= 3600
    assert SignUpRequest.objects.count() == limits.PER_NETWORK


@pytest.mark.parametrize("path", WAYS_IN)
def test_the_11th_form_for_an_address_is_refused_whichever_way_it_comes(offered, client, path):
    for number in range(limits.PER_ADDRESS):
        way = WAYS_IN[number % len(WAYS_IN)]
        fields = {"email": f"ma.ra+{number}@example.org", "form_age": aged(seconds=10)}
        assert client.post(way, fields, REMOTE_ADDR=f"192.0.2.{number}").status_code == 303

    fields = {"email": "MARA@example.org", "form_age": aged(seconds=10)}
    response = client.post(path, fields, REMOTE_ADDR="192.0.2.99")

    assert response.status_code == 429
    assert "This address was entered 10 times in an hour" in text_of(response)


def test_too_many_stay_in_the_frame_too(offered, client, monkeypatch):
    monkeypatch.setattr(limits, "NETWORK", limits._Limit("network", 0, "This network"))

    assert '<body class="frame">' in text_of(send(client))
