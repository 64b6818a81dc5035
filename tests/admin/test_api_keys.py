"""Issuing and revoking API keys in the admin: shown once, never again, each act by its right."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from subscribers import api_keys
from subscribers.models import ApiKey

pytestmark = pytest.mark.django_db

LIST = reverse("admin:subscribers_apikey_changelist")
ADD = reverse("admin:subscribers_apikey_add")
ASKED = {
    "name": "Conference form",
    "scopes": ["read", "subscribe"],
    "origins": "",
    "per_minute": 60,
}


@pytest.fixture
def key(admin_user) -> ApiKey:
    return api_keys.issue(name="Member database", scopes=["manage"], by=admin_user)[0]


def paths(key: ApiKey) -> list[str]:
    pages = ("change", "revoke", "history", "delete")
    return [
        LIST,
        ADD,
        *(reverse(f"admin:subscribers_apikey_{page}", args=[key.pk]) for page in pages),
    ]


def test_a_new_key_is_shown_on_one_page_and_never_again(admin_client, admin_user):
    page = admin_client.post(ADD, ASKED)

    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    [text] = re.findall(r"iria_[a-z0-9]{8}_[\w-]{43}", page.content.decode())
    key = ApiKey.objects.get()
    assert api_keys.recognise(text) == key
    assert (key.scopes, key.created_by, key.per_minute) == (["read", "subscribe"], admin_user, 60)
    for path in paths(key)[:-1]:
        shown = admin_client.get(path).content.decode()
        assert text not in shown
        assert text[-43:] not in shown
        assert key.secret_hash not in shown
    assert LogEntry.objects.get().object_repr == "Conference form"


def test_the_list_shows_beginning_scopes_use_and_state(admin_client, key):
    page = admin_client.get(LIST).content.decode()

    for shown in ("Member database", f"iria_{key.prefix}_", "manage", "active"):
        assert shown in page


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"scopes": []}, "This field is required."),
        ({"scopes": ["manage"], "origins": "https://www.example.org"}, "Every visitor"),
        ({"origins": "www.example.org"}, "is no origin"),
        ({"origins": "https://a.example\nhttp://b.example"}, "Use https"),
        ({"per_minute": 0}, "requests a minute"),
        ({"per_minute": 30_000}, "requests a minute"),
        ({"name": "Member database"}, "already exists"),
    ],
)
def test_what_is_not_right_comes_back_with_a_sentence(typed, sentence, admin_client, key):
    page = admin_client.post(ADD, {**ASKED, **typed})

    assert sentence in page.content.decode()
    assert ApiKey.objects.count() == 1


def test_revoking_asks_first_and_acts_by_post(admin_client, key):
    path = reverse("admin:subscribers_apikey_revoke", args=[key.pk])

    question = admin_client.get(path).content.decode()
    assert "Revoke 1 key" in question
    assert "It was never used." in question
    key.refresh_from_db()
    assert key.revoked_at is None

    for _ in range(2):
        assert admin_client.post(path).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert LogEntry.objects.count() == 1
    assert "revoked" in admin_client.get(LIST).content.decode()


def test_nothing_of_a_key_can_be_edited_or_deleted(admin_client, key):
    before = ApiKey.objects.values().get()
    change, _, _, delete = paths(key)[2:]

    assert admin_client.post(change, {"scopes": ["read"], "per_minute": 9}).status_code == 403
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert ApiKey.objects.values().get() == before


def test_each_page_has_its_right(staff, key):
    nobody: Client = staff()
    for path in paths(key):
        assert nobody.get(path).status_code == 403

    for path in paths(key):
        assert Client().get(path).status_code == 302


def test_whoever_may_look_may_neither_issue_nor_revoke(staff, key):
    looker = staff("subscribers.view_apikey")

    assert looker.get(LIST).status_code == 200
    assert looker.post(ADD, ASKED).status_code == 403
    revoke = reverse("admin:subscribers_apikey_revoke", args=[key.pk])
    assert looker.post(revoke).status_code == 403
    assert b">Revoke<" not in looker.get(paths(key)[2]).content
    assert ApiKey.objects.get().revoked_at is None


def test_hostile_names_are_shown_and_not_run(admin_client):
    admin_client.post(ADD, {**ASKED, "name": "<script>alert(1)</script>{{7*7}}"})

    page = admin_client.get(LIST).content.decode()

    assert "<script>alert(1)" not in page
    assert "{{7*7}}" in page
