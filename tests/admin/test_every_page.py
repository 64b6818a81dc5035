"""Every address of the admin, for those who may and those who may not, with rows and without."""

import ast
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models
from django.urls import reverse

ROOT = Path(__file__).resolve().parents[2]
POST_ONLY = {f"subscribers_subscriber_{act}" for act in ("find", "write_note", "delete_note")}


def addresses() -> dict[str, str]:
    """Name and path of every page of every model; pages of a row are those of the first row."""
    found = {"index": reverse("admin:index")}
    for model, model_admin in admin.site._registry.items():
        row = model._default_manager.order_by("pk").first()
        for pattern in model_admin.get_urls():
            asked_for = pattern.pattern.converters
            if pattern.name and (row is not None or not asked_for):
                filled = dict.fromkeys(asked_for, row.pk if row else None)
                found[pattern.name] = reverse(f"admin:{pattern.name}", kwargs=filled)
    return found


def all_rows() -> dict[str, list[dict[str, object]]]:
    ours: list[type[models.Model]] = [
        model for model in apps.get_models() if model._meta.label != "sessions.Session"
    ]
    return {m._meta.label: list(m._default_manager.order_by("pk").values()) for m in ours}


def test_every_page_answers_when_there_is_nothing(admin_client):
    for name, path in addresses().items():
        expected = 405 if name in POST_ONLY else 403 if name.endswith("_add") else 200
        status = admin_client.get(path).status_code
        assert status in {200, expected}, f"{path}: {status}"


def test_every_page_answers_when_there_are_rows(newsroom, admin_client):
    Group.objects.create(name="Editors")
    refused = set()
    for name, path in addresses().items():
        status = admin_client.get(path, follow=True).status_code
        assert status in {200, 403, 405}, f"{path}: {status}"
        if status != 200:
            refused.add(name)
    assert refused == POST_ONLY | {
        f"{model}_{page}"
        for model in (
            *("mailer_edition", "mailer_batch", "subscribers_subscriber"),
            *("subscribers_consentevent", "subscribers_servicemail"),
            "subscribers_webhookcall",
        )
        for page in ("add", "delete")
        if (model, page) != ("subscribers_subscriber", "add")  # asks its mailbox
    } | {
        "articles_topic_delete",
        "subscribers_newsletter_delete",
        "subscribers_suppression_delete",
    }


def test_opening_every_page_twice_changes_no_row(newsroom, admin_client):
    before = all_rows()

    for _ in range(2):
        for path in addresses().values():
            admin_client.get(path)

    assert all_rows() == before


def test_nobody_sees_a_page_without_logging_in(newsroom, client):
    for name, path in addresses().items():
        answer = client.get(path)
        assert answer.status_code == 302, name
        assert answer["Location"].startswith(reverse("admin:login")), name


def test_staff_without_any_right_see_nothing_but_the_start_page(newsroom, staff):
    client = staff()
    for name, path in addresses().items():
        if name != "index":
            assert client.get(path, follow=True).status_code in {403, 405}, name
    assert "Cable ships" not in client.get(reverse("admin:index")).content.decode()


def test_without_rows_a_list_says_what_comes_next(admin_client):
    for model, model_admin in admin.site._registry.items():
        if hasattr(model_admin, "empty_list"):
            path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            assert model_admin.empty_list in admin_client.get(path).content.decode()


def test_the_admin_may_run_its_scripts_and_other_pages_none(admin_client, client):
    inside = admin_client.get(reverse("admin:index"))["Content-Security-Policy"]
    outside = client.get(reverse("subscribe"))["Content-Security-Policy"]

    assert "script-src 'self' 'unsafe-eval'" in inside
    assert "default-src 'none'" in inside
    assert "script-src 'none'" in outside
    assert "unsafe" not in outside


def test_one_module_alone_knows_unfold():
    """So that Django's plain admin is a change of imports in one place."""
    knowing = set()
    for folder in ("iria_news", "subscribers", "mailer"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += (
                    [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                )
                if any(name.split(".")[0] == "unfold" for name in names):
                    knowing.add(path.relative_to(ROOT).as_posix())
    assert knowing == {"iria_news/frame/admin_base.py"}


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda model: model.__name__)
def test_no_row_of_the_ledger_can_be_written_here(model, newsroom, admin_client):
    """What the flow functions write, nobody edits: not by a form, not by an action on a list."""
    ours = {"Edition", "Batch", "Subscriber", "ConsentEvent", "ServiceMail", "Suppression"}
    if model.__name__ not in ours:
        return
    base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model._default_manager.order_by("pk").first()
    before = all_rows()

    changed = admin_client.post(reverse(f"{base}_change", args=[row.pk]), {"state": "done"})
    deleted = admin_client.post(reverse(f"{base}_delete", args=[row.pk]), {"post": "yes"})
    admin_client.post(
        reverse(f"{base}_changelist"),
        {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
    )

    assert (changed.status_code, deleted.status_code) == (403, 403)
    assert all_rows() == before
