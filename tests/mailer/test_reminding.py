"""Who is told, and once, of an edition that waits for approval."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from mailer import approving, reminding
from mailer.models import Edition
from subscribers.models import Approval
from tests import message_rules
from tests.mailer import editions as ways

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def person(username: str, **fields) -> User:
    user = User.objects.create(
        username=username, is_staff=True, **{"email": f"{username}@example.org", **fields}
    )
    user.user_permissions.add(Permission.objects.get(codename="approve_edition"))
    return user


def waiting(*, due_in: timedelta = HOUR, by: User | None = None, **fields) -> Edition:
    edition = ways.open_now(ways.daily(1, **{"approval": Approval.PERSON, **fields}))
    Edition.objects.filter(pk=edition.pk).update(
        due_at=timezone.now() + due_in, expires_at=timezone.now() + 30 * HOUR
    )
    if by:
        approving.ask(edition, by=by)
    return edition


def test_those_who_can_approve_are_told_once(sink):
    mara, _lin, _no_address = person("mara"), person("lin"), person("kim", email="")
    User.objects.create(username="guest", email="guest@example.org", is_staff=True)
    edition = waiting(by=mara)

    assert reminding.remind_due() == 1
    assert reminding.remind_due() == 0

    [taken] = sink.taken
    assert taken.recipient == "lin@example.org"
    assert taken.message["Subject"].startswith("Please approve: Newsletter")
    text = taken.message.get_body(("plain",)).get_content()
    assert "mara wrote it." in text
    assert f"/admin/mailer/edition/{edition.pk}/approve/" in text
    assert message_rules.broken_rules(taken.raw, newsletter=False) == []


def test_one_that_is_due_already_is_reminded_of_too(sink):
    person("lin")
    waiting(due_in=-HOUR)

    reminding.remind_due()

    assert "was due at" in sink.taken[0].message.get_body(("plain",)).get_content()


def test_nobody_is_told_of_what_is_far_ahead_sent_back_approved_or_automatic(sink):
    mara, lin = person("mara"), person("lin")
    waiting(due_in=3 * HOUR)
    back = waiting(by=mara)
    approving.send_back(back, by=lin, note="Shorter.")
    approved = waiting()
    approving.approve(approved, content_hash=approving.content_hash(approved), by=lin)
    waiting(approval=Approval.AUTOMATIC)

    assert reminding.remind_due() == 0
    assert sink.taken == []


def test_while_the_server_is_away_the_next_tick_tries_again(sink):
    person("lin")
    waiting()
    sink.script.banner = "421 later"

    assert reminding.remind_due() == 0
    sink.script.banner = "220 sink.test ESMTP"

    assert reminding.remind_due() == 1
