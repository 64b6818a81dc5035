"""Whatever goes wrong, a program reads one kind of answer, with a sentence that says what to do."""

import json
import logging

import pytest
from django.db import connection
from django.test import Client

from subscribers.api import offered
from tests.api.conftest import problem_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2/topics",
        "/api/v1/nothing",
        "/api/v1/topics/",
        "/api",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_address_of_nothing(path, method, program):
    response = program().call(method, path)

    if path == "/api":
        assert response.status_code in {301, 404}  # outside: a page, or the way in
    else:
        assert "openapi.json" in problem_of(response, 404)["detail"]


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST", "PATCH", "TRACE", "BREW"])
def test_a_method_that_a_route_does_not_take(method, program):
    response = program().call(method, "/topics")

    problem_of(response, 405)
    assert response["Allow"] == "GET, HEAD, OPTIONS"


def test_head_works_where_get_does(program):
    answer = program("read").call("HEAD", "/topics")

    assert answer.status_code == 200
    assert not answer.content


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff\xfe{}",
        b'{"email": NaN}',
        b'{"email": 1e999, "email": 2}',
        b"[" * 60_000,
        b'{"email": ' + b"9" * 5000 + b"}",
        b"null",
        b"[]",
        b'"text"',
        b'{"email": "\\ud800@example.org"}',
        b'{"email": ["mara@example.org"]}',
    ],
)
def test_a_body_that_is_no_object_of_ours(body, program):
    response = program("manage").post("/subscribers/lookup", body)

    assert response.status_code in {400, 422}
    problem_of(response, response.status_code)


def test_a_body_of_another_kind(program):
    form = program("manage").client.post(
        "/api/v1/subscribers/lookup",
        "email=mara%40example.org",
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": f"Bearer {program('manage').text}"},
    )

    assert "application/json" in problem_of(form, 415)["detail"]


@pytest.mark.parametrize("size", [65 * 1024, 3 * 1024 * 1024])
def test_a_body_that_is_too_large(size, program):
    problem_of(program("manage").post("/subscribers/lookup", b" " * size), 413)


def test_every_mistake_is_named_with_its_place_and_what_to_do(program):
    body = {"email": 7, "newsletters": ["a b", ""], "topics": [], "wording": "mine", "admin": True}

    errors = problem_of(program("subscribe").post("/subscriptions", body), 422)["errors"]

    assert {error["at"]: error["detail"] for error in errors} == {
        "body/email": "This takes a text.",
        "body/newsletters/0": "This text does not look like what is expected: ^[A-Za-z0-9_-]+$",
        "body/newsletters/1": "This text is too short: at least 1 characters.",
        "body/topics": "Give at least 1 of these.",
        "body/wording": "This is one of 'api-2026-11'.",
        "body/admin": "There is no such field. Leave it out.",
    }


@pytest.mark.parametrize("path", ["/topics", "/newsletters", "/editions", "/editions/x"])
@pytest.mark.parametrize("name", ["order", "newsletter__is_private", "q", "password__startswith"])
def test_a_filter_that_does_not_exist_is_refused(path, name, program):
    """C7, C10: a filter on a private column must not work, nor look as if it did."""
    [error] = problem_of(program("read").get(f"{path}?{name}=1"), 422)["errors"]

    assert error == {"at": f"query/{name}", "detail": "There is no such filter. Leave it out."}


def test_an_error_of_ours_shows_nothing_of_itself(program, monkeypatch, caplog):
    def broken() -> None:
        raise RuntimeError("secret words of mara@example.org")

    monkeypatch.setattr(offered.offers, "public", broken)

    with caplog.at_level(logging.ERROR):
        response = program("read").get("/newsletters")

    problem = problem_of(response, 500)
    assert "secret" not in json.dumps(problem)
    assert "Traceback" in caplog.text  # for us


def test_also_in_debug_mode_no_trace_gets_out(program, settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.setattr(offered.offers, "public", lambda: 1 / 0)

    assert b"division" not in program("read").get("/newsletters").content


def test_what_fails_before_a_route_is_a_problem_too(program):
    some = program("read")

    refused = some.get("/topics", Host="evil.example")

    problem_of(refused, 400)


def test_a_database_that_is_away_is_a_problem_too(program, monkeypatch):
    some = program("read")

    def away(*_args: object, **_kwargs: object) -> None:
        raise connection.Database.OperationalError("no route to 10.0.0.7")

    with connection.execute_wrapper(away):
        response = some.get("/topics")

    assert b"10.0.0.7" not in response.content
    problem_of(response, 500)


def test_an_address_put_into_a_path_by_mistake_is_not_logged(program, caplog):
    with caplog.at_level(logging.DEBUG):
        problem_of(program("manage").get("/subscribers/mara@example.org"), 404)

    assert "mara@example.org" not in caplog.text


def test_answers_are_kept_by_nobody(program):
    assert program("read").get("/topics")["Cache-Control"] == "no-store"
    assert Client().get("/api/v1/topics")["Cache-Control"] == "no-store"


def test_the_description_is_public_and_loads_nothing(client):
    answer = client.get("/api/v1/openapi.json")

    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.1")
    problem_of(client.get("/api/v1/docs"), 404)
