import json
from email import message_from_bytes
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count

from mailer import bench, cohorts, editions, production
from mailer.models import Edition, EditionState
from subscribers.models import Subscriber, SubscriptionTopic
from tests import factories
from tests.sink import Sink

pytestmark = pytest.mark.django_db(transaction=True)


def deliver(*arguments: str) -> str:
    out = StringIO()
    with Sink() as sink:
        call_command("bench_delivery", "--smtp", f"127.0.0.1:{sink.port}", *arguments, stdout=out)
        deliver.taken = list(sink.taken)
    return out.getvalue()


def frozen(edition: Edition) -> Edition:
    assert editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    edition.refresh_from_db()
    return edition


def test_one_edition_is_measured_from_freezing_to_a_balanced_ledger(tmp_path):
    export = tmp_path / "message.eml"

    said = deliver("--json", "--recipients", "30", "--bytes", "1", "--export", str(export))

    found = json.loads(said)
    assert found["balanced"]
    assert found["sent"] == found["recipients"] == len(deliver.taken) == 30
    assert all(f"{step}_cpu_seconds" in found for step in ("freeze", "render", "send", "ledger"))
    assert found["bytes_per_delivery"] > 0
    assert Edition.objects.get().state == EditionState.DONE
    assert found["message_bytes"] == export.stat().st_size


def test_the_exported_message_is_one_that_was_sent(tmp_path):
    export = tmp_path / "message.eml"

    deliver("--recipients", "3", "--bytes", "1", "--export", str(export))

    message = message_from_bytes(export.read_bytes())
    assert message["Message-ID"] in {taken.message_id for taken in deliver.taken}
    assert message["To"].endswith(f"@{bench.DOMAIN}")


def test_as_many_different_messages_come_out_as_are_asked_for():
    edition = frozen(bench.prepare(300, 1, cohorts=100))

    sizes = list(edition.cohorts.values_list("size", flat=True))
    assert len(sizes) == 100
    assert set(sizes) == {3}


def test_a_message_has_about_the_length_that_is_asked_for():
    edition = frozen(bench.prepare(3, 30_000))
    production.render_waiting()

    assert 30_000 <= len(bench.sample_message(edition)) < 33_000


def test_a_second_edition_takes_up_the_same_readers_with_other_choices():
    bench.prepare(40, 1, cohorts=20)
    edition = bench.prepare(40, 1, cohorts=4)

    assert Subscriber.objects.count() == 40
    follows = SubscriptionTopic.objects.values("subscription").annotate(number=Count("topic"))
    assert {row["number"] for row in follows} == {1}
    assert edition.state == EditionState.APPROVED


@pytest.mark.parametrize(
    ("wanted", "topics", "followed"), [(1, 1, 1), (62, 62, 1), (63, 12, 2), (10_000, 41, 3)]
)
def test_choices_are_small_and_enough(wanted, topics, followed):
    assert bench.choices(wanted) == (topics, followed)


def test_more_cohorts_than_an_edition_can_have_are_refused():
    with pytest.raises(CommandError, match="are the most"):
        deliver("--cohorts", "1000000")


def test_a_database_with_real_people_is_refused():
    factories.make_subscriber("ann@example.org")

    with pytest.raises(CommandError, match="not made up"):
        deliver("--recipients", "1")

    assert Subscriber.objects.count() == 1


def test_a_sink_without_a_port_is_refused():
    with pytest.raises(CommandError, match="HOST:PORT"):
        call_command("bench_delivery", "--smtp", "localhost")
