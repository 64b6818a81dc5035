"""What the composer refuses: an overtaken version, what is not there, who may not, and when."""

import re

import pytest
from django.contrib.auth.models import User

from mailer import composing_order
from mailer.models import Edition, EditionState
from tests.admin.test_composer import make_draft, pk, press, said, titles, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft() -> Edition:
    return make_draft("C", "B", "A")


# --- two editors ----------------------------------------------------------------------------------
def test_a_slower_editor_hears_who_was_faster_and_keeps_what_was_typed(
    admin_client, draft, admin_user
):
    other = User.objects.create(username="mara", first_name="Mara", last_name="Ellison")
    composing_order.make_lead(draft, version=0, by=other, article=pk("C"))

    answer = press(admin_client, draft, "texts", subject="Mine", note="Typed.")

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Mara Ellison, 0 s ago: Changed the order. Nothing was overwritten." in page
    assert 'value="Mine"' in page
    assert "Typed." in page
    draft.refresh_from_db()
    assert (draft.subject, draft.version) == ("", 1)
    version = re.search(r'name="version" value="(\d+)"', page)[1]
    press(admin_client, draft, "texts", subject="Mine", version=version)
    draft.refresh_from_db()
    assert draft.subject == "Mine"


def test_the_script_is_answered_in_its_own_words(admin_client, draft):
    values = {"act": "move", "version": 0, "article": pk("C"), "to_rank": 0}
    headers = {"accept": "application/json"}

    done = admin_client.post(url(draft), values, headers=headers)
    stale = admin_client.post(url(draft), values, headers=headers)

    assert done.json() == {"said": "Now item 1 of 3.", "version": 1}
    assert titles(draft) == "CAB"
    assert stale.status_code == 409
    assert "Nothing was overwritten." in stale.json()["said"]


@pytest.mark.parametrize("version", ["", "-1", "7", "x"])
def test_a_version_that_nobody_read_changes_nothing(version, admin_client, draft):
    answer = press(admin_client, draft, "drop", title="A", version=version)

    assert answer.status_code == 409
    assert titles(draft) == "ABC"


def test_an_article_that_is_not_there_is_said_so(admin_client, draft):
    gone = press(admin_client, draft, "drop", article=0)
    nothing = press(admin_client, draft, "no such act")

    assert "That article is not there any more" in said(admin_client, gone)
    assert nothing["Location"] == url(draft)
    assert titles(draft) == "ABC"


# --- who and when ---------------------------------------------------------------------------------
@pytest.mark.parametrize("page", ["compose", "compose_anew"])
def test_what_has_left_draft_cannot_be_composed(page, admin_client, draft):
    Edition.objects.filter(pk=draft.pk).update(state=EditionState.CANCELLED)

    asked = admin_client.get(url(draft, page)).content.decode()
    answer = admin_client.post(
        url(draft, page), {"act": "drop", "article": pk("A"), "version": 0}, follow=True
    )

    assert "There is nothing to compose: the edition is cancelled." in asked
    assert "Too late, nothing changed: the edition is cancelled." in answer.content.decode()
    assert titles(draft) == "ABC"


@pytest.mark.parametrize(
    ("permission", "status"),
    [
        ("mailer.change_edition", 200),
        ("mailer.approve_edition", 200),
        ("mailer.view_edition", 403),
        ("mailer.steer_edition", 403),
    ],
)
@pytest.mark.parametrize("page", ["compose", "compose_anew"])
def test_composing_needs_the_right_to_change_or_to_approve(page, permission, status, staff, draft):
    client = staff(permission)

    assert client.get(url(draft, page)).status_code == status
    answer = client.post(url(draft, page), {"act": "drop", "article": pk("A"), "version": 0})
    assert (answer.status_code == 403) == (status == 403)
    assert (titles(draft) == "ABC") == (status == 403 or page == "compose_anew")
