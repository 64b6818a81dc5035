"""A message may begin before its intent is committed. It must not end (decision 0007)."""

import time

import pytest
from django.utils import timezone

from iria_news.environment import SubmissionServer
from iria_news.smtp import Dialogue, Kind, OutOfStep
from mailer.deliveries import sending
from mailer.deliveries.connection import Submission
from mailer.deliveries.connections import Pool
from mailer.deliveries.head_starts import HeadStarts
from mailer.models import Batch
from subscribers.models import Subscriber
from tests.mailer import editions as made
from tests.mailer.editions import daily, states
from tests.sink import Script, Sink

MESSAGE = b"Subject: x\r\n\r\n" + b"a line of the body\r\n" * 50


# --- one submission, without a socket -------------------------------------------------------------


def held() -> Dialogue:
    commands = b"MAIL FROM:<b@y.test>\r\nRCPT TO:<r@x.test>\r\nDATA\r\n"
    message = b"Subject: x\r\n\r\nhello\r\n.\r\n"
    return Dialogue(
        ("mail", "rcpt", "data"), commands, message, pipelining=True, held=True, messages_before=0
    )


def through_envelope(dialogue: Dialogue) -> Dialogue:
    dialogue.wrote(len(dialogue.outgoing))
    for code in (250, 250, 354):
        dialogue.answer(code, b"ok")
    return dialogue


def test_all_but_the_dot_is_written_and_then_the_dot():
    dialogue = through_envelope(held())
    assert bytes(dialogue.outgoing) == b"Subject: x\r\n\r\nhello\r\n"
    dialogue.wrote(len(dialogue.outgoing))
    assert not dialogue.outgoing

    dialogue.release()

    assert bytes(dialogue.outgoing) == b".\r\n"
    dialogue.wrote(3)
    dialogue.answer(250, b"taken")
    assert dialogue.result.kind is Kind.ACCEPTED


@pytest.mark.parametrize("written", [0, 1, 5, 20])
def test_a_release_in_mid_body_adds_the_dot_to_what_is_left(written):
    dialogue = through_envelope(held())
    dialogue.wrote(written)

    dialogue.release()

    assert bytes(dialogue.outgoing) == b"Subject: x\r\n\r\nhello\r\n.\r\n"[written:]


def test_a_release_before_the_body_lets_it_go_whole():
    dialogue = held()
    dialogue.release()

    through_envelope(dialogue)

    assert bytes(dialogue.outgoing).endswith(b"hello\r\n.\r\n")


def test_a_line_lost_before_the_dot_is_no_doubt():
    dialogue = through_envelope(held())
    dialogue.wrote(len(dialogue.outgoing))

    assert dialogue.lost(ConnectionError("gone")).kind is Kind.NOT_SENT


def test_who_accepts_before_the_dot_is_not_believed():
    dialogue = through_envelope(held())
    dialogue.wrote(len(dialogue.outgoing))

    with pytest.raises(OutOfStep):
        dialogue.answer(250, b"taken")


# --- a pool ---------------------------------------------------------------------------------------


NOBODY = 404


def only_readers(recipient: str) -> str:
    return "550 5.1.1 nobody" if recipient == f"r{NOBODY}@x.test" else "250 2.1.5 ok"


@pytest.fixture
def pool_and_sink():
    with Sink(script=Script(rcpt=only_readers)) as sink:
        pool = Pool(SubmissionServer("127.0.0.1", sink.port), size=1, messages_each=100)
        pool.hand_over(submission(0))  # opens the line
        assert pool.collect(seconds=20)
        yield pool, sink
        pool.close()


def submission(number: int) -> Submission:
    return Submission(
        1, number, "b@y.test", f"r{number}@x.test", MESSAGE, f"k{number}", time.monotonic() + 60
    )


def wait_for_the_body(pool: Pool, sink: Sink) -> None:
    until = time.monotonic() + 10
    while sink.commands.count("DATA") < 2 and time.monotonic() < until:
        pool.collect(seconds=0.05)
    pool.collect(seconds=0.1)


def recipients(sink: Sink) -> list[str]:
    return [taken.recipient for taken in sink.taken]


def test_no_line_is_opened_for_a_head_start():
    pool = Pool(SubmissionServer("127.0.0.1", 1), size=1, messages_each=100)

    assert not pool.start_early(submission(1))
    assert pool.idle == 1
    pool.close()


def test_a_message_with_a_head_start_is_delivered_when_it_may_end(pool_and_sink):
    pool, sink = pool_and_sink
    assert pool.start_early(submission(1))
    wait_for_the_body(pool, sink)
    assert recipients(sink) == ["r0@x.test"]

    pool.let_end(1, 1)

    [finished] = pool.collect(seconds=20)
    assert finished.result.kind is Kind.ACCEPTED
    assert recipients(sink) == ["r0@x.test", "r1@x.test"]
    assert sink.connections == 1


def test_a_message_that_is_dropped_is_not_delivered_and_its_place_is_free(pool_and_sink):
    pool, sink = pool_and_sink
    pool.start_early(submission(1))
    wait_for_the_body(pool, sink)

    pool.drop(1, 1)

    assert pool.idle == 1
    pool.hand_over(submission(2))
    assert pool.collect(seconds=20)
    assert recipients(sink) == ["r0@x.test", "r2@x.test"]


def test_a_refusal_comes_before_the_end(pool_and_sink):
    pool, _sink = pool_and_sink
    pool.start_early(submission(NOBODY))

    [finished] = pool.collect(seconds=20)

    assert finished.result.kind is Kind.REFUSED
    pool.let_end(1, NOBODY)  # finished already: nothing to do
    assert pool.idle == 1


# --- the loop -------------------------------------------------------------------------------------


def send() -> int:
    return sending.send_ready_batches(worker="w1", seconds=30).accepted


@pytest.fixture
def as_they_start(monkeypatch):
    """Call a function once, when the first messages have begun and nothing is announced yet."""

    def install(act) -> list[int]:
        begun: list[int] = []
        build = HeadStarts.build

        def wrapped(starts, wanted, *, not_after):
            build(starts, wanted, not_after=not_after)
            lines = starts._pool._idle
            if starts._built and not begun and lines and lines[-1].has_room:
                begun.extend(intent.subscriber_id for intent, _ in starts._built)
                act(begun)

        monkeypatch.setattr(HeadStarts, "build", wrapped)
        return begun

    return install


@pytest.mark.django_db(transaction=True)
def test_who_leaves_while_their_message_has_begun_gets_nothing(sink, as_they_start):
    edition = made.sending(daily(readers=30))

    def leave(begun):
        Subscriber.objects.get(pk=begun[0]).subscriptions.update(ended_at=timezone.now())

    begun = as_they_start(leave)
    send()

    assert begun
    assert states(edition) == {"sent": 29, "skipped": 1}
    gone = Subscriber.objects.get(pk=begun[0]).address
    assert gone not in recipients(sink)
    assert len(sink.taken) == 29


@pytest.mark.django_db(transaction=True)
def test_an_address_changed_after_the_claim_is_the_one_that_is_written_to(sink, as_they_start):
    edition = made.sending(daily(readers=30))

    def move(begun):
        Subscriber.objects.filter(pk=begun[0]).update(address="moved@example.org")

    begun = as_they_start(move)
    send()

    assert begun
    assert states(edition) == {"sent": 30}
    assert recipients(sink).count("moved@example.org") == 1
    assert len(set(recipients(sink))) == 30 == len(sink.taken)


@pytest.mark.django_db(transaction=True)
def test_a_refused_recipient_is_settled_like_any_other(sink, as_they_start):
    edition = made.sending(daily(readers=30))

    bad: list[str] = []
    sink.script = Script(rcpt=lambda to: "550 5.1.1 nobody" if to in bad else "250 2.1.5 ok")

    def refuse(begun):
        bad.append(Subscriber.objects.get(pk=begun[0]).address)

    assert as_they_start(refuse) == []
    send()

    assert states(edition) == {"sent": 29, "failed": 1}


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_lost_its_owner_begins_nothing_before_its_intents(sink, as_they_start):
    made.sending(daily(readers=30))
    Batch.objects.update(losses=1)

    begun = as_they_start(lambda begun: None)
    send()

    assert begun == []
    assert len(sink.taken) == 30
