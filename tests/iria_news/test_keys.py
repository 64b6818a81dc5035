"""Keys and tokens: what is signed today must be read for as long as there are old mails."""

from datetime import UTC, datetime

import pytest

from iria_news import keys

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MESSAGE_KEY = "aeaaaaahaaaaaaambobrizqnt7as4"
SHORT_TOKEN = "aaaaaadd3ya6xmmn2cephchvza"
DATED_TOKEN = "aaaaaaddabvqfwkahkh5xfedc7yfwoka2yvnp75b2a"
KEYED_HASH = "5c23f1b80cbe4a879796d4609ac39b15b1bd80f4bd1dca8352a56bfab400e8dc"


@pytest.fixture(autouse=True)
def _fixed_secret(settings) -> None:
    settings.MESSAGE_KEY_SECRET = "a secret that never changes in this test"
    settings.MESSAGE_KEY_FALLBACKS = []


def test_what_was_signed_in_the_first_release_is_still_read():
    """If this fails, links in mails that are out there have just stopped working."""
    assert keys.message_key(1, 7, 12) == MESSAGE_KEY
    assert keys.short_token("unsubscribe", 99) == SHORT_TOKEN
    assert keys.dated_token("preferences", 99, AT) == DATED_TOKEN
    assert keys.keyed_hash("suppression", "mara@example.org") == KEYED_HASH


def test_a_key_is_read_in_any_case_and_by_an_older_secret(settings):
    key, token = keys.message_key(1, 7, 12), keys.short_token("unsubscribe", 99)
    mark = keys.keyed_hash("suppression", "mara@example.org")
    settings.MESSAGE_KEY_FALLBACKS = [settings.MESSAGE_KEY_SECRET]
    settings.MESSAGE_KEY_SECRET = "the next one"

    assert keys.read_message_key(key.upper()) == (1, 7, 12)
    assert keys.read_short_token("unsubscribe", token) == 99
    assert keys.keyed_hash("suppression", "mara@example.org") == mark
    assert keys.short_token("unsubscribe", 99) != token


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: "b" + t[1:], lambda t: t + "a", str.title]
)
def test_a_token_that_was_cut_or_changed_is_none_of_ours(spoil):
    token = keys.short_token("unsubscribe", 99)
    if spoil(token).lower() == token:
        assert keys.read_short_token("unsubscribe", spoil(token)) == 99
        return
    with pytest.raises(keys.BadKey):
        keys.read_short_token("unsubscribe", spoil(token))


def test_a_token_serves_one_purpose():
    with pytest.raises(keys.BadKey):
        keys.read_short_token("undo", keys.short_token("unsubscribe", 99))
    with pytest.raises(keys.BadKey):
        keys.read_dated_token("confirm", keys.dated_token("preferences", 99, AT))


def test_a_dated_token_says_when_it_was_issued():
    read = keys.read_dated_token("preferences", keys.dated_token("preferences", 99, AT))

    assert (read.number, read.issued_at) == (99, AT)
