"""What replies mean (P1, P2, P3): the table of rules against the table of samples."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import replies
from mailer.replies import RULES, Class, Ruling, reading
from mailer.replies.classes import MESSAGE
from tests.mailer.reply_samples import result, rows

STAGES = ["connect", "ehlo", "tls", "auth", "address", "mail", "rcpt", "data", "dot", ""]


def read(place: str, reply: str) -> Ruling:
    heard, domain = result(place, reply)
    return replies.classify(
        stage=heard.stage,
        code=heard.code,
        enhanced=heard.enhanced,
        text=heard.text,
        domain=domain,
    )


@pytest.mark.parametrize(("cls", "rule", "place", "reply"), rows())
def test_a_real_reply_has_its_class_and_names_the_rule(cls, rule, place, reply):
    code = reply.partition(" ")[0]
    permanent = code.startswith("5") or (code == "0" and re.match(r"0 5\.\d", reply) is not None)

    assert read(place, reply) == Ruling(rule, Class(cls), permanent)


def test_every_rule_and_every_class_has_a_sample():
    assert {rule for _, rule, _, _ in rows()} == {rule.id for rule in RULES}
    assert {cls for cls, _, _, _ in rows()} == set(Class)


def test_rule_ids_are_unique_and_fit_their_column():
    assert max(Counter(rule.id for rule in RULES).values()) == 1
    assert all(0 < len(rule.id) <= 24 for rule in RULES)


def test_only_rules_about_permanent_refusals_can_say_gone():
    assert all(rule.permanent or rule.code[:1] == "5" for rule in RULES if rule.cls is Class.GONE)


@pytest.mark.parametrize(
    "reply",
    ["450 5.1.1 no such user", "550 5.1.1 blocked, see https://spamhaus.org", "250 5.1.1 gone"],
)
def test_a_contradiction_is_never_gone(reply):
    assert read("rcpt", reply).cls is not Class.GONE


def test_a_status_repeated_in_each_line_of_a_reply_does_not_hide_its_words():
    text = "5.2.1 The email account that you tried to reach 5.2.1 is disabled. Learn more"
    assert read("rcpt", f"550 {text}").rule == "5.2.1:disabled"
    assert read("rcpt", "550 5.1.1 mailbox is 5.1.1 full").cls is Class.FULL


def test_a_number_that_looks_like_a_status_is_none():
    for text in ["host 5.1.1.7 says no", "exim 5.1.1a", "[#4.16.1] no"]:
        assert read("rcpt", f"550 {text}").rule == "other:5xx"


def test_a_report_without_reply_code_is_judged_by_its_status():
    assert read("-", "0 5.1.1 unknown user").cls is Class.GONE
    assert read("-", "0 4.4.7 queue time over").cls is Class.TRANSIENT


def test_only_its_own_domain_makes_a_reply_a_providers():
    text = "550 5.5.0 Requested action not taken: mailbox unavailable"
    assert read("rcpt@HotMail.com.", text).cls is Class.GONE
    assert read("rcpt@nothotmail.com", text).cls is Class.OTHER
    assert read("rcpt", text).cls is Class.OTHER


FRAGMENTS = sorted({word for _, _, _, reply in rows() for word in reply.split()})
texts = st.one_of(
    st.text(max_size=2_000),
    st.lists(st.sampled_from([*FRAGMENTS, "\r\n", "\0", "@", "<"]), max_size=40).map(" ".join),
)
enhanceds = st.one_of(
    st.text(max_size=12), st.from_regex(r"[245]\.[0-7]\.[0-9]{1,3}", fullmatch=True)
)
domains = st.one_of(
    st.text(max_size=30), st.sampled_from(["gmail.com", "docomo.ne.jp", "live.com"])
)
calls = st.fixed_dictionaries(
    {
        "stage": st.one_of(st.sampled_from(STAGES), st.text(max_size=5)),
        "code": st.one_of(st.integers(400, 599), st.integers()),
        "enhanced": enhanceds,
        "text": texts,
        "domain": domains,
    }
)


@given(calls)
def test_any_reply_gets_one_ruling_and_only_a_permanent_one_is_gone(call):
    ruling = replies.classify(**call)

    assert ruling.rule in {rule.id for rule in RULES}
    assert ruling.cls is not Class.GONE or (ruling.permanent and call["stage"] in MESSAGE)
    if call["code"]:
        assert ruling.permanent == (500 <= call["code"] <= 599)


@pytest.mark.parametrize("piece", ["a", "@", "a@", "5.1.", "5.1.1 ", "\0", "delivery error: dd "])
@pytest.mark.parametrize("length", [10_000, 1_000_000])
def test_of_a_hostile_text_only_the_first_thousand_characters_are_read(piece, length):
    text = (piece * length)[:length]

    assert classified(text, domain="a." * 5_000) == classified(text[:1_000], domain="")
    assert classified("x" * 1_000 + " mailbox is full").rule == "554:dot"


def classified(text: str, *, domain: str = "") -> Ruling:
    return replies.classify(stage="dot", code=554, enhanced="", text=text, domain=domain)


def test_no_pattern_repeats_without_an_upper_bound():
    patterns = [
        pattern for rule in RULES for pattern in (rule.code, rule.status, rule.words, rule.domain)
    ]
    patterns += [value.pattern for value in vars(reading).values() if isinstance(value, re.Pattern)]

    assert [pattern for pattern in patterns if re.search(r"(?<!\\)[*+]|,\}", pattern)] == []
