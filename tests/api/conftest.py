"""A program with a key, as it calls us."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from iria_news import keys
from subscribers import api_keys
from subscribers.models import ApiKey, Subscriber
from tests import factories


@dataclass
class Program:
    """Calls with its key; `origin` is what a browser would add for a script of that page."""

    key: ApiKey
    text: str
    origin: str = ""
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def call(self, method: str, path: str, body: object = None, **headers: str) -> HttpResponse:
        headers = {"Authorization": f"Bearer {self.text}", **headers}
        if self.origin:
            headers["Origin"] = self.origin
        sent: dict[str, Any] = {}
        if body is not None:
            sent = {"data": body, "content_type": "application/json"}
        path = path if path.startswith("/api") else f"/api/v1{path}"
        return self.client.generic(method, path, headers=headers, **_encoded(self.client, sent))

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: object) -> HttpResponse:
        return self.call("POST", path, body)

    def patch(self, path: str, body: object) -> HttpResponse:
        return self.call("PATCH", path, body)


def _encoded(client: Client, sent: dict[str, Any]) -> dict[str, Any]:
    if sent and not isinstance(sent["data"], bytes):
        sent["data"] = client._encode_json(sent["data"], "application/json")
    return sent


@pytest.fixture
def program(db: None) -> Callable[..., Program]:
    """Issue a key with these scopes (all, unless given) and hand over a program that has it."""

    def issue(*scopes: str, origins: tuple[str, ...] = (), **fields: Any) -> Program:
        by, _ = User.objects.get_or_create(username="operator")
        key, text = api_keys.issue(
            name=fields.pop("name", f"Program {ApiKey.objects.count()}"),
            scopes=scopes or api_keys.Scope.values,
            origins=origins,
            by=by,
            **{"per_minute": 1000, **fields},
        )
        return Program(key, text, origin=origins[0] if origins else "")

    return issue


def problem_of(response: HttpResponse, status: int) -> dict[str, Any]:
    """The problem in an answer, which must be one from head to foot."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["detail"].endswith((".", ": see the header “Allow”.")), problem
    return problem


@pytest.fixture
def daily():
    factories.make_topic("Africa")
    factories.make_topic("Europe")
    return factories.make_newsletter("IRIA Daily")


@pytest.fixture
def mara(daily):
    subscriber = factories.make_subscriber("mara@example.org", zone="Asia/Tokyo", hour=7)
    factories.make_subscription(daily, subscriber=subscriber)
    return subscriber


@pytest.fixture
def clients(daily, mara):
    """A private newsletter that Mara is on."""
    newsletter = factories.make_newsletter("Client Report", is_private=True)
    factories.make_subscription(newsletter, subscriber=mara)
    return newsletter


def id_of(subscriber: Subscriber) -> str:
    return keys.short_token("api-subscriber", subscriber.pk)


def path_of(subscriber: Subscriber, *rest: str) -> str:
    return "/".join(["/subscribers", id_of(subscriber), *rest])
