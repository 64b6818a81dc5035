"""What follows from a reply, for the delivery, the subscriber and the lane (P2, P3, P5, P9)."""

import pytest

from iria_news.smtp import Kind, Result, ServerUnavailable
from mailer import replies
from mailer.deliveries import outcomes
from mailer.deliveries.outcomes import RETRY_MINUTES, Effect, Verdict, judge, unavailable
from mailer.models import DeliveryState, EventKind
from mailer.replies import Class
from subscribers.models import InDoubt
from tests.mailer.reply_samples import result, rows

# class: what becomes of the delivery after 4xx and after 5xx, and what else happens
P2 = {
    Class.GONE: ("", "failed", Effect.GONE),
    Class.FULL: ("retry", "failed", Effect.NONE),
    Class.TRANSIENT: ("retry", "retry", Effect.TRANSIENT),
    Class.SIZE: ("retry", "failed", Effect.NONE),
    Class.CONTENT: ("retry", "failed", Effect.NONE),
    Class.BLOCKED: ("retry", "retry", Effect.REFUSES_US),
    Class.AUTH: ("retry", "retry", Effect.REFUSES_US),
    Class.RATE: ("retry", "retry", Effect.SLOW),
    Class.CONNECTION_CAP: ("wait", "wait", Effect.CONNECTION_CAP),
    Class.SENDER_REFUSED: ("", "wait", Effect.SERVER_REFUSES),
    Class.CREDENTIALS: ("", "wait", Effect.SERVER_REFUSES),
    Class.PROTOCOL: ("", "retry", Effect.REFUSES_US),
    Class.OTHER: ("retry", "failed", Effect.NONE),
}


def judged(place: str, reply: str, *, attempts: int = 1, messages_on_line: int = 0) -> Verdict:
    heard, domain = result(place, reply)
    return judge(
        heard,
        attempts=attempts,
        policy=InDoubt.RESEND,
        domain=domain,
        messages_on_line=messages_on_line,
    )


def wording(verdict: Verdict) -> str:
    if verdict.state == DeliveryState.PENDING:
        return "retry" if verdict.counts_as_attempt else "wait"
    return str(verdict.state)


SUBMITTED = [row for row in rows() if row[2].partition("@")[0] in {"rcpt", "data", "dot"}]


@pytest.mark.parametrize(("cls", "rule", "place", "reply"), SUBMITTED)
def test_a_reply_after_mail_has_the_consequences_of_its_class(cls, rule, place, reply):
    temporary, permanent, effect = P2[Class(cls)]
    wanted = permanent if reply.startswith("5") else temporary
    if reply.startswith("421") and cls in {"transient", "other"}:
        wanted = "wait"

    verdict = judged(place, reply)

    assert (wording(verdict), verdict.effect) == (wanted, effect)
    assert verdict.rule == rule
    assert verdict.event == (EventKind.FAILED if wanted == "failed" else EventKind.DEFERRED)


@pytest.mark.parametrize("cls", Class)
def test_p3_no_class_but_gone_suppresses(cls):
    verdicts = [judged(place, reply) for name, _, place, reply in SUBMITTED if name == cls]

    assert verdicts
    assert {verdict.suppress for verdict in verdicts} == {cls is Class.GONE}


def test_p5_the_waits_between_tries_grow_to_four_hours_and_stay_there():
    waits = [
        judged("rcpt", "451 4.3.0 later", attempts=tries).retry_minutes for tries in range(1, 9)
    ]
    assert waits == [5, 15, 30, 60, 120, 240, 240, 240]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [("550 5.1.1 no such user", "5.1.1"), ("550 No such user", "550"), ("450 busy", "450")],
)
def test_the_reason_is_the_enhanced_status_or_the_reply_code(reply, reason):
    assert judged("rcpt", reply).reason == reason


@pytest.mark.parametrize(
    ("reply", "effect"),
    [
        ("421 4.7.0 [TSS04] temporarily deferred", Effect.SLOW),
        ("421 4.7.1 [TS03] permanently deferred", Effect.REFUSES_US),
        ("451 4.3.0 internal error", Effect.TRANSIENT),
        ("450 busy", Effect.NONE),
        ("421 closing", Effect.TRANSIENT),
    ],
)
@pytest.mark.parametrize("stage", ["auth", "mail"])
def test_a_deferral_before_the_recipient_is_named_is_not_held_against_it(stage, reply, effect):
    verdict = judged(stage, reply, attempts=4)

    assert (wording(verdict), verdict.effect) == ("wait", effect)
    assert verdict.retry_minutes == RETRY_MINUTES[0]


@pytest.mark.parametrize("stage", ["auth", "mail"])
@pytest.mark.parametrize("place", ["@gmail.com", "@hotmail.com", "@docomo.ne.jp", "@yahoo.com", ""])
def test_nothing_said_before_the_recipient_is_named_fails_or_counts(stage, place):
    for _, _, _, reply in rows():
        assert wording(judged(f"{stage}{place}", reply)) == "wait", reply


@pytest.mark.parametrize("reply", ["550 5.7.1 no", "530 5.7.0 log in first", "501 5.5.4 syntax"])
def test_a_server_that_refuses_the_sender_is_not_held_against_the_delivery(reply):
    verdict = judged("mail", reply)

    assert (wording(verdict), verdict.effect) == ("wait", Effect.SERVER_REFUSES)
    assert verdict.retry_minutes >= 0.5


@pytest.mark.parametrize(
    "reply",
    ["421 Max message per connection reached", "421 4.3.2 closing", "452 4.5.3 too many", "421 ok"],
)
def test_a_connection_that_is_used_up_lets_another_try_at_once(reply):
    verdict = judged("rcpt", reply, messages_on_line=100)

    assert verdict.effect is Effect.CONNECTION_CAP
    assert (wording(verdict), verdict.retry_minutes, verdict.event) == ("wait", 0, None)


def test_a_connection_that_is_used_up_before_its_first_message_waits():
    verdict = judged("mail", "452 4.5.3 too many", messages_on_line=0)

    assert (wording(verdict), verdict.retry_minutes) == ("wait", RETRY_MINUTES[0])


@pytest.mark.parametrize(
    ("reply", "effect"),
    [
        ("421 4.7.28 unusual rate", Effect.SLOW),
        ("421 4.7.26 unauthenticated", Effect.REFUSES_US),
        ("421 4.7.1 blocked", Effect.REFUSES_US),
    ],
)
def test_a_421_that_speaks_of_us_counts_however_many_the_connection_took(reply, effect):
    verdict = judged("dot", reply, messages_on_line=100, attempts=2)

    assert (wording(verdict), verdict.retry_minutes, verdict.effect) == ("retry", 15, effect)


def test_an_address_that_we_could_not_send_fails_without_a_suppression():
    for enhanced in ["5.1.3", "5.6.7"]:
        verdict = judge(
            Result(Kind.REFUSED, "address", 0, enhanced, "no"), attempts=1, policy=InDoubt.HOLD
        )
        assert (verdict.state, verdict.reason) == (DeliveryState.FAILED, enhanced)
        assert not verdict.suppress


def test_an_accepted_message_is_sent_and_needs_no_rule():
    heard = Result(Kind.ACCEPTED, "dot", 250, "2.0.0", "taken")
    assert judge(heard, attempts=1, policy=InDoubt.HOLD) == Verdict(DeliveryState.SENT)


def test_what_certainly_did_not_leave_may_leave_at_once():
    verdict = judge(Result(Kind.NOT_SENT, "mail"), attempts=1, policy=InDoubt.HOLD)
    assert verdict == Verdict(DeliveryState.PENDING, counts_as_attempt=False)


@pytest.mark.parametrize(
    ("policy", "resent", "state"),
    [
        (InDoubt.RESEND, 0, DeliveryState.PENDING),
        (InDoubt.RESEND, 1, DeliveryState.PENDING),
        (InDoubt.RESEND, 2, DeliveryState.UNCERTAIN),
        (InDoubt.HOLD, 0, DeliveryState.UNCERTAIN),
    ],
)
def test_p9_mail_in_doubt_follows_the_newsletters_policy(policy, resent, state):
    verdict = judge(Result(Kind.IN_DOUBT, "dot"), attempts=1, policy=policy, resent=resent)

    assert (verdict.state, verdict.reason, verdict.effect) == (state, "no answer", Effect.NONE)
    if state == DeliveryState.PENDING:
        assert verdict.retry_minutes == outcomes.DOUBT_MINUTES


@pytest.mark.parametrize(
    ("stage", "code", "text", "effect"),
    [
        ("connect", 0, "[Errno 111] Connection refused", Effect.SERVER_AWAY),
        ("connect", 0, "[Errno -2] Name or service not known", Effect.SERVER_AWAY),
        ("connect", 421, "too many connections", Effect.SERVER_AWAY),
        ("ehlo", 0, "timed out", Effect.SERVER_AWAY),
        ("tls", 454, "4.7.0 TLS not available", Effect.SERVER_AWAY),
        ("tls", 0, "EOF occurred in violation of protocol", Effect.SERVER_AWAY),
        ("auth", 454, "4.7.0 Temporary authentication failure", Effect.SERVER_AWAY),
        ("auth", 0, "Connection unexpectedly closed", Effect.SERVER_AWAY),
        ("connect", 554, "5.7.1 go away", Effect.SERVER_REFUSES),
        ("ehlo", 550, "who are you?", Effect.SERVER_REFUSES),
        ("tls", 0, "STARTTLS extension not supported by server.", Effect.SERVER_REFUSES),
        ("tls", 0, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate", Effect.SERVER_REFUSES),
        ("connect", 0, "[SSL: CERTIFICATE_VERIFY_FAILED] expired", Effect.SERVER_REFUSES),
        ("auth", 530, "5.7.0 Must issue a STARTTLS command first", Effect.SERVER_REFUSES),
        ("auth", 534, "5.7.9 too weak", Effect.SERVER_REFUSES),
        ("auth", 535, "5.7.8 wrong", Effect.SERVER_REFUSES),
        ("auth", 0, "SMTP AUTH extension not supported by server.", Effect.SERVER_REFUSES),
    ],
)
def test_a_server_that_cannot_be_used_is_away_or_refuses_us(stage, code, text, effect):
    verdict = unavailable(ServerUnavailable(stage, code, text))

    assert (wording(verdict), verdict.effect, verdict.event) == ("wait", effect, None)
    assert verdict.retry_minutes >= 0.5
    assert verdict.rule in {rule.id for rule in replies.RULES}


def test_the_reason_of_a_server_that_cannot_be_used_is_its_code():
    assert unavailable(ServerUnavailable("auth", 535, "5.7.8 wrong")).reason == "5.7.8"
    assert unavailable(ServerUnavailable("connect", 554, "no")).reason == "554"
    assert unavailable(ServerUnavailable("connect", 0, "away")).reason == ""


def test_a_message_that_cannot_be_built_fails_alone():
    verdict = outcomes.unbuildable(ValueError("a@b.test"))

    assert (verdict.state, verdict.reason) == (DeliveryState.FAILED, "unbuildable: ValueError")
    assert not verdict.suppress
