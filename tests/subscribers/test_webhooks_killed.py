"""A worker that is killed while an endpoint thinks: the call is made again, and only that one."""

import os
import subprocess
import sys

import pytest
from django.db.models import F

from subscribers.models import CallState, EventKind, WebhookCall
from subscribers.webhooks import calling, endpoints, events
from tests import factories
from tests.faults.workers import database_url
from tests.webhook_receiver import URL, Receiver, answer, raw

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

WORKER = """
import sys

import django

django.setup()

from subscribers.webhooks import calling
from tests.webhook_receiver import Receiver

receiver = Receiver()
receiver.port = int(sys.argv[1])
calling.call_due(connect=receiver.connect)
"""


def test_a_killed_workers_call_is_taken_up_again_with_the_same_id(admin_user):
    endpoints.create(name="CRM", url=URL, events=list(events.OFFERED), by=admin_user)
    for _ in range(2):
        events.emit(EventKind.CHANGED, subscriber=factories.make_subscriber())
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "iria_news.settings",
    }
    with Receiver(script=[answer(200), raw(b"", every=60)]) as receiver:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(receiver.port)], env=environment
        )
        receiver.wait_for(2, within=60)
        worker.kill()
        worker.wait()

        states = WebhookCall.objects.values_list("state", flat=True)
        assert CallState.CALLING in states
        assert calling.call_due(connect=receiver.connect) == 0  # it may be alive
        WebhookCall.objects.update(not_before=F("not_before") - calling.SILENCE)
        again = calling.call_due(connect=receiver.connect)

    assert set(WebhookCall.objects.values_list("state", flat=True)) == {CallState.TAKEN}
    # At least once: the first may have been taken and not yet written down when the kill came.
    assert again in {1, 2}
    assert len(receiver.told) == 2 + again
    assert len({told.uid for told in receiver.told}) == 2
    assert len({(told.uid, told.body) for told in receiver.told}) == 2
