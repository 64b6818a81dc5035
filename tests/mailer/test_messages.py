"""The compiled message: joining equals rendering, and every rule holds for every recipient."""

import email
import email.policy
import functools
import html
import re
from datetime import date

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from iria_news import keys, mail
from iria_news.mail import columns, headers, parts
from mailer import messages, rendering
from subscribers import links
from tests import message_rules
from tests.factories import utc
from tests.mailer import samples

AT = utc("2026-11-23 07:00")
EDITION = 7
COMPILED = samples.compiled()
NAMES = [
    "",
    "Mara Lind",
    "a=b=c",
    "...",
    ". leading dot",
    "山田 太郎",
    "語" * 64,
    "é" * 64,
    'Mara "Mo" Lind',
    "back\\slash",
    "=?utf-8?q?trick?=",
    "x" * 64,
    "{{ why }} {% debug %}",
    "<b>Mara</b> & Co",
    "O’Brien, Jr.",
]


def recipient(**changed: object) -> messages.Recipient:
    values = {
        "subscriber_id": 5,
        "subscription_id": 6,
        "address": "reader@example.org",
        "why": samples.WHY,
    }
    return messages.Recipient(**{**values, **changed})


def joined(reader: messages.Recipient, compiled: messages.Compiled = COMPILED) -> bytes:
    return messages.join(compiled, messages.values(reader, edition_id=EDITION, at=AT))


def broken(raw: bytes, reader: messages.Recipient) -> list[str]:
    sender = mail.return_path(messages.key(EDITION, reader.subscriber_id))
    return message_rules.broken_rules(
        raw, newsletter=True, sender=sender, recipient=reader.address, now=AT
    )


@functools.cache
def rendered() -> tuple[str, mail.Body]:
    mark = rendering.mark_for(samples.FACTS, samples.ITEMS)
    return mark, rendering.compose(samples.FACTS, samples.ITEMS, mark=mark)


def whole(reader: messages.Recipient) -> mail.Body:
    """The same message without slots: with the values of this reader in place."""
    mark, body = rendered()
    values = {
        "why": reader.why,
        "preferences_url": links.preferences_url(reader.subscriber_id, AT),
        "unsubscribe_url": links.unsubscribe_url(reader.subscription_id),
    }
    return messages.filled(body, values, mark=mark)


def decoded(raw: bytes) -> tuple[str, str]:
    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    text, in_html = (part.get_payload(decode=True).decode() for part in parsed.iter_parts())
    return text.replace("\r\n", "\n"), in_html.replace("\r\n", "\n")


@pytest.mark.parametrize("name", NAMES)
def test_joining_equals_rendering_the_whole_and_keeps_every_rule(name):
    reader = recipient(name=name)
    raw = joined(reader)

    assert decoded(raw) == (whole(reader).text, whole(reader).html)
    assert broken(raw, reader) == []
    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    mailto = f"<mailto:{links.unsubscribe_address(6)}>"
    assert parsed["List-Unsubscribe"] == f"<{links.unsubscribe_url(6)}>, {mailto}"
    assert parsed["Message-ID"] == f"<{messages.key(EDITION, 5)}@ir-ia.example>"


WRITTEN = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=64)


@effort(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=WRITTEN, topic=WRITTEN, subscriber=st.integers(1, 2**40 - 1))
def test_joining_equals_rendering_for_any_name_and_any_topic(name, topic, subscriber):
    why = messages.why_sentence("IRIA Weekly", date(2026, 2, 3), [topic, "US"], all_topics=False)
    reader = recipient(name=name, why=why, subscriber_id=subscriber)
    raw = joined(reader)

    text, in_html = decoded(raw)
    assert columns.wrap(why) in text
    assert html.escape(why) in in_html
    assert text == whole(reader).text
    rules = {sentence.partition(":")[0] for sentence in broken(raw, reader)}
    assert rules <= {"M7"}  # a topic may be called {{ why }}; it is then shown as that


@pytest.mark.parametrize("length", [1, 40, 57, 74, 75, 76, 77, 120, 300])
@pytest.mark.parametrize("tail", ["", "=", ".", "&a=b", " "])
def test_a_value_of_any_length_between_slots_is_encoded_alone(length, tail):
    value = "https://news.ir-ia.example/u/".ljust(length, ".")[:length] + tail
    body = mail.Body(
        "s",
        *(
            f"{start}{messages.slot('m', 'why')}{{}}{messages.slot('m', 'unsubscribe_url')} and "
            f"{messages.slot('m', 'preferences_url')}\nend\n".format(between)
            for start, between in [(". dot ", "."), ("", "\n.\n")]
        ),
    )
    head = "".join(messages.slot("m", name) for name in sorted(messages.IN_HEADERS)) + "\r\n"
    compiled = messages.compile(head, body, mark="m")
    encoded = parts.quoted_printable(value)
    values = dict.fromkeys(compiled.slots, encoded)

    raw = messages.join(compiled, values)

    plain = raw.partition(b"text/plain")[2].partition(b"\r\n\r\n")[2].partition(b"\r\n--=_")[0]
    assert max(map(len, plain.split(b"\r\n"))) <= 76
    assert not any(line.startswith(b".") for line in plain.split(b"\r\n"))
    part = email.message_from_bytes(
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + plain, policy=email.policy.SMTP
    )
    expected = f". dot {value}.{value} and {value}\nend\n"
    assert part.get_payload(decode=True).decode().replace("\r\n", "\n") == expected


def test_a_compiled_message_comes_back_from_its_bytes():
    stored = COMPILED.to_bytes()

    back = messages.Compiled.from_bytes(memoryview(stored))

    assert joined(recipient(), back) == joined(recipient())
    assert back.to_bytes() == stored


def test_the_same_values_give_the_same_bytes_and_a_later_try_the_same_message_id():
    later = messages.values(recipient(), edition_id=EDITION, at=utc("2026-11-23 09:00"))
    again = messages.join(COMPILED, later)

    assert joined(recipient()) == joined(recipient())
    assert b"Date: Mon, 23 Nov 2026 09:00:00 +0000" in again
    identity = re.compile(rb"Message-ID: <.*>")
    assert identity.search(again)[0] == identity.search(joined(recipient()))[0]


def test_the_key_says_which_delivery_it_was():
    assert keys.read_message_key(messages.key(7, 5)) == (messages.KEY_TAG, 7, 5)


def test_a_slot_nobody_fills_fails_when_compiling():
    body = mail.Body("s", messages.slot("m", "postcode"), "")

    with pytest.raises(messages.UnknownSlot, match="postcode"):
        messages.compile("", body, mark="m")


def test_a_message_without_a_way_to_leave_fails_when_compiling():
    text = messages.slot("m", "why") + messages.slot("m", "preferences_url")

    with pytest.raises(messages.MissingSlot, match="unsubscribe_url"):
        messages.compile("", mail.Body("s", text, ""), mark="m")


@pytest.mark.parametrize("bad", [{"name": "a\r\nBcc: x@example.org"}, {"address": "no address"}])
def test_a_poisoned_recipient_fails_alone(bad):
    with pytest.raises(headers.BadHeader):
        joined(recipient(**bad))


@pytest.mark.parametrize(
    ("topics", "all_topics", "sentence"),
    [
        (["US"], False, "You confirmed Daily on 3 February 2026. Your topic is US."),
        (["A", "B"], False, "You confirmed Daily on 3 February 2026. Your topics are A and B."),
        (["A", "B", "C"], True, "You confirmed Daily on 3 February 2026. You follow all topics."),
        ([], False, "You confirmed Daily on 3 February 2026."),
    ],
)
def test_the_reason_names_newsletter_date_and_topics(topics, all_topics, sentence):
    why = messages.why_sentence("Daily", date(2026, 2, 3), topics, all_topics=all_topics)

    assert why == sentence


def test_the_headers_look_as_agreed(snapshot):
    head = joined(recipient(name="Mara Lind")).partition(b"\r\n\r\n")[0].decode()

    snapshot("digest.eml-headers", head.replace("\r\n", "\n") + "\n")


def test_a_private_newsletter_names_no_archive_and_a_page_for_its_readers_alone():
    facts = samples.private()
    raw = joined(recipient(), samples.compiled(facts))

    assert broken(raw, recipient()) == []
    assert b"List-Archive" not in raw
    assert all(links.edition_url(EDITION) in part for part in decoded(raw))


@pytest.mark.parametrize("name", NAMES)
def test_who_wants_text_only_gets_the_text_part_alone_with_the_same_headers_and_links(name):
    reader = recipient(name=name)
    raw = joined(reader, samples.compiled_text())
    both = joined(reader)

    assert broken(raw, reader) == []
    text_only, with_html = message_rules.Message(raw, ""), message_rules.Message(both, "")
    assert text_only.parsed.get_content_type() == "text/plain"
    assert not text_only.parsed.is_multipart()
    assert text_only.text == with_html.text
    about_parts = {"Content-Type", "Content-Transfer-Encoding"}
    heads = [
        [(field.name, field.value) for field in message.fields if field.name not in about_parts]
        for message in (text_only, with_html)
    ]
    assert heads[0] == heads[1]


def test_the_web_address_to_leave_stands_whole_and_first_and_each_line_is_short():
    head = joined(recipient()).partition(b"\r\n\r\n")[0].decode().split("\r\n")

    first = head.index(f"List-Unsubscribe: <{links.unsubscribe_url(6)}>,")
    assert head[first + 1] == f" <mailto:{links.unsubscribe_address(6)}>"
    assert len(head[first + 1]) <= 78
    assert head[first + 2] == "List-Unsubscribe-Post: List-Unsubscribe=One-Click"


def test_our_one_click_address_needs_no_folding():
    url = links.unsubscribe_url(2**39)

    assert len(url.removeprefix("https://news.ir-ia.example")) + len("https://" + "h" * 20) == 57


def test_a_rule_a_newsletter_breaks_is_named():
    good = joined(recipient())
    damages = {
        "M10": (b"List-Unsubscribe=One-Click", b"List-Unsubscribe=Two-Click"),
        "M12": (b"List-Id: IRIA Weekly <iria-weekly.ir-ia.example>", b"List-Id: IRIA Weekly"),
        "M13": (b"Precedence: bulk", b"Precedence: list"),
        "M14": (b":irianews", b":irianews-of-the-institute"),
        "M15": (b"14 Harbour", b"15 Harbour"),
        "M5": (b"List-Unsubscribe: <", b"List-Unsubscribe:\r\n <"),
        "M10 ": (b"<mailto:unsubscribe+a", b"<mailto:unsubscribe+b"),
        "M8": (
            b"Counting warheads without a treaty\r\nCommentary",
            b"Something else\r\nCommentary",
        ),
    }
    for rule, (old, new) in damages.items():
        assert old in good
        rules = {
            sentence.partition(":")[0] for sentence in broken(good.replace(old, new), recipient())
        }
        assert rule.strip() in rules
