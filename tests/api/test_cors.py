"""Scripts of web pages: only those of the origins that a key names, and never with cookies."""

import pytest
from django.test import Client

from subscribers import api_keys
from tests.api.conftest import problem_of

pytestmark = pytest.mark.django_db

PAGE = "https://www.example.org"


def preflight(path: str, origin: str = PAGE, method: str = "POST"):
    return Client().options(
        f"/api/v1{path}",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )


def test_a_preflight_of_a_known_page_says_what_may_be_sent(program):
    program("subscribe", origins=(PAGE,))

    answer = preflight("/subscriptions")

    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in answer["Access-Control-Allow-Methods"]
    assert answer["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert "Access-Control-Allow-Credentials" not in answer
    assert "Origin" in answer["Vary"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://www.example.org.evil.example", "*", ""]
)
def test_a_preflight_of_another_page_gets_no_permission(origin, program):
    program("subscribe", origins=(PAGE,))

    assert "Access-Control-Allow-Origin" not in preflight("/subscriptions", origin)


def test_a_page_of_a_revoked_key_gets_no_permission(program):
    api_keys.revoke(program("subscribe", origins=(PAGE,)).key)

    assert "Access-Control-Allow-Origin" not in preflight("/subscriptions")


def test_a_script_of_the_page_reads_answers_and_errors(program):
    script = program("read", origins=(PAGE,))

    for path, status in [("/topics", 200), ("/topics?no=1", 422), ("/subscribers/x", 403)]:
        answer = script.get(path)
        assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (status, PAGE)


def test_a_key_works_from_its_own_pages_only(program):
    other = "https://other.example"
    script = program("read", origins=(PAGE,))
    program("read", origins=(other,))
    script.origin = other

    answer = script.get("/topics")

    problem_of(answer, 403)
    assert "Access-Control-Allow-Origin" not in answer


def test_a_key_for_servers_does_not_work_in_a_page(program):
    server = program("read")
    server.origin = PAGE

    problem_of(server.get("/topics"), 403)


def test_options_names_the_methods_of_a_route(program):
    answer = Client().options("/api/v1/topics")

    assert answer.status_code == 204
    assert answer["Allow"] == "GET, HEAD, OPTIONS"
    assert "Access-Control-Allow-Origin" not in answer


def test_pages_outside_the_api_know_no_cors(program):
    program("read", origins=(PAGE,))

    answer = Client().get("/subscribe/", headers={"Origin": PAGE})

    assert "Access-Control-Allow-Origin" not in answer
