"""Keys of programs: issued once, recognised, limited, revoked; cookies count for nothing."""

import hashlib
import logging
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from subscribers import api_keys
from subscribers.models import ApiKey
from tests.api.conftest import problem_of

pytestmark = pytest.mark.django_db

ROUTES = {
    ("GET", "/newsletters"): "read",
    ("GET", "/topics"): "read",
    ("GET", "/editions"): "read",
    ("GET", "/editions/none"): "read",
    ("POST", "/subscriptions"): "subscribe",
    ("POST", "/subscribers/lookup"): "manage",
    ("GET", "/subscribers/none"): "manage",
    ("GET", "/subscribers/none/preferences"): "manage",
    ("PATCH", "/subscribers/none/preferences"): "manage",
    ("POST", "/subscribers/none/unsubscribe"): "manage",
}


def test_the_routes_of_this_matrix_are_all_there_are(client):
    paths = client.get("/api/v1/openapi.json").json()["paths"]

    described = {
        (method.upper(), path): operation["security"]
        for path, methods in paths.items()
        for method, operation in methods.items()
    }

    shape = {
        (
            method,
            f"/api/v1{path}".replace("none", "{slug}" if "editions" in path else "{reader_id}"),
        ): [{"Key": [scope]}]
        for (method, path), scope in ROUTES.items()
    }
    assert described == shape


@pytest.mark.parametrize("scope", api_keys.Scope.values)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_key_opens_the_routes_of_its_scope_and_no_other(scope, method, path, program):
    response = program(scope).call(method, path, {} if method != "GET" else None)

    if ROUTES[method, path] == scope:
        assert response.status_code in {200, 404, 422}
    else:
        assert "may not" in problem_of(response, 403)["detail"]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_key_there_is_nothing_to_see(method, path, slash, admin_client):
    """Also for staff: a cookie is no key, or any page could act for its visitor."""
    response = admin_client.generic(method, f"/api/v1{path}{slash}")

    problem_of(response, 404 if slash else 401)
    assert slash or response["WWW-Authenticate"] == 'Bearer realm="api"'
    assert not response.cookies


def test_only_a_hash_of_the_secret_is_kept(program):
    some = program()

    secret = some.text.removeprefix(f"iria_{some.key.prefix}_")
    assert len(secret) == 43
    assert some.key.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
    assert not any(
        secret in str(value) for row in ApiKey.objects.values() for value in row.values()
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text.replace("iria_", "iria_x", 1),
        lambda text: text.upper(),
        lambda text: "",
        lambda text: "iria__",
        lambda text: "iria_aaaaaaaa_" + text[-43:],
        lambda text: "' OR 1=1 --",
        lambda text: text + "\u00e9",
    ],
)
def test_a_key_with_a_letter_wrong_is_none(spoil, program):
    some = program("read")

    problem_of(some.get("/topics", Authorization=f"Bearer {spoil(some.text)}"), 401)


@pytest.mark.parametrize("header", ["Basic {}", "{}", "Token {}", "Bearer  {}"])
def test_a_key_is_taken_from_a_bearer_header_only(header, program):
    some = program("read")

    problem_of(some.get("/topics", Authorization=header.format(some.text)), 401)
    problem_of(Client().get(f"/api/v1/topics?key={some.text}"), 401)


def test_the_scheme_may_be_written_in_any_case(program):
    some = program("read")

    assert some.get("/topics", Authorization=f"bearer {some.text}").status_code == 200


def test_a_revoked_key_is_refused_at_once_and_stays_so(program):
    some = program("read")
    assert some.get("/topics").status_code == 200

    assert api_keys.revoke(some.key)
    assert not api_keys.revoke(some.key)

    problem_of(some.get("/topics"), 401)


def test_the_last_use_is_noted_once_a_minute(program, django_assert_num_queries):
    some = program("read")
    some.get("/topics")
    first = ApiKey.objects.get().last_used_at
    assert first is not None

    with django_assert_num_queries(2):  # the key, the topics
        some.get("/topics")
    assert ApiKey.objects.get().last_used_at == first

    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    some.get("/topics")
    assert ApiKey.objects.get().last_used_at >= first


def test_above_its_pace_a_key_waits_for_the_next_minute(program):
    some, other = program("read", per_minute=2), program("read", per_minute=2)
    now = timezone.now().replace(second=20, microsecond=0)

    with time_machine.travel(now, tick=False):
        assert [some.get("/topics").status_code for _ in range(3)] == [200, 200, 429]
        refused = some.get("/topics")
        assert other.get("/topics").status_code == 200
    assert refused["Retry-After"] == "40"
    assert "2 requests a minute" in problem_of(refused, 429)["detail"]

    with time_machine.travel(now + timedelta(seconds=40), tick=False):
        assert some.get("/topics").status_code == 200


def test_what_is_refused_for_its_scope_counts_too(program):
    some = program("read", per_minute=1)

    with time_machine.travel(timezone.now(), tick=False):
        problem_of(some.post("/subscribers/lookup", {}), 403)
        problem_of(some.post("/subscribers/lookup", {}), 429)


def test_without_redis_keys_work_and_the_log_says_so(program, settings, caplog):
    some = program("read", per_minute=1)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1"}}

    with caplog.at_level(logging.WARNING):
        assert [some.get("/topics").status_code for _ in range(2)] == [200, 200]

    assert "API keys are not limited" in caplog.text


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"scopes": []}, "at least one"),
        ({"scopes": ["everything"]}, "at least one"),
        ({"per_minute": 0}, "requests a minute"),
        ({"name": "Form\r\nX-Evil: 1"}, "one line"),
        ({"name": "  "}, "one line"),
        ({"scopes": ["manage"], "origins": ["https://a.example"]}, "Every visitor"),
        ({"origins": ["*"]}, "no origin"),
        ({"origins": ["null"]}, "no origin"),
        ({"origins": ["https://a.example/"]}, "no origin"),
        ({"origins": ["https://a.example/path"]}, "no origin"),
        ({"origins": ["https://user@a.example"]}, "no origin"),
        ({"origins": ["https://a.example:x"]}, "no origin"),
        ({"origins": ["https://*.a.example"]}, "no origin"),
        ({"origins": ["http://a.example"]}, "Use https"),
    ],
)
def test_a_key_that_would_be_a_hole_is_not_issued(fields, word, admin_user):
    asked = {"name": "Form", "scopes": ["read"], "by": admin_user, **fields}

    with pytest.raises(api_keys.BadKey, match=word):
        api_keys.issue(**asked)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    "origin", ["https://a.example", "https://A.example:8443", "http://localhost:3000"]
)
def test_an_origin_is_kept_as_browsers_write_it(origin):
    assert api_keys.checked_origin(origin) == origin.lower()
