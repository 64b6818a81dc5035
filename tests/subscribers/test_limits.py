import time
from datetime import timedelta

import pytest
from django.utils import timezone
from redis.connection import Connection, UnixDomainSocketConnection

from iria_news import ephemeral
from subscribers import addresses, limits


def count(address="mara@example.org", network="192.0.2.1"):
    limits.count(addresses.parse(address), network=network)


def test_the_21st_sign_up_of_a_network_is_told_when_to_come_back():
    for number in range(20):
        count(f"mara{number}@example.org")

    with pytest.raises(limits.TooMany) as caught:
        count("mara20@example.org")

    assert caught.value.sentence == "This network has sent 20 sign-ups in an hour"
    assert timedelta(minutes=59) < caught.value.until - timezone.now() <= timedelta(hours=1)
    count("mara20@example.org", network="192.0.2.2")


def test_an_address_counts_without_its_dots_and_tag():
    for number in range(10):
        count(f"ma.ra+{number}@example.org", network=f"192.0.2.{number}")

    with pytest.raises(limits.TooMany) as caught:
        count("MARA@example.org", network="192.0.2.99")

    assert caught.value.sentence == "This address was entered 10 times in an hour"


def test_a_domain_and_the_whole_service_have_their_limits(monkeypatch):
    monkeypatch.setattr(limits, "DOMAIN", limits._Limit("domain", 2, "This mail domain"))
    monkeypatch.setattr(limits, "ALL", limits._Limit("all", 4, "We"))
    for number in range(2):
        count(f"mara{number}@example.org", network=f"192.0.2.{number}")
    with pytest.raises(limits.TooMany, match="This mail domain"):
        count("mara9@example.org", network="192.0.2.9")
    count("mara@example.net")
    count("mara@example.com")
    with pytest.raises(limits.TooMany, match="We"):
        count("mara@example.info")


@pytest.mark.parametrize(
    ("remote", "forwarded", "proxies", "network"),
    [
        ("192.0.2.1", "", 0, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", 0, "192.0.2.1"),  # nobody of ours wrote that header
        ("10.0.0.1", "203.0.113.9", 1, "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", 1, "203.0.113.9"),  # the first is invented
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", 2, "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "", 0, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", 0, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", 0, "192.0.2.1"),
        ("", "", 0, "unknown"),  # a unix socket
        ("10.0.0.1", "rubbish", 1, "unknown"),
        ("10.0.0.1", "", 3, "unknown"),
    ],
)
def test_a_network_is_an_ipv4_address_or_an_ipv6_64(remote, forwarded, proxies, network):
    assert limits.network(remote, forwarded, proxies=proxies) == network


def test_a_network_of_ipv6_is_counted_as_a_whole():
    for number in range(20):
        each = limits.network(f"2001:db8:1:2::{number:x}", "", proxies=0)
        count(f"mara{number}@example.org", network=each)

    with pytest.raises(limits.TooMany):
        count(network=limits.network("2001:db8:1:2:ffff::9", "", proxies=0))
    count(network=limits.network("2001:db8:1:3::1", "", proxies=0))


def test_a_program_with_a_key_has_no_network_but_every_other_limit():
    for number in range(25):
        count(f"mara{number}@example.org", network=None)
    for _ in range(9):
        count("mara1@example.org", network=None)

    with pytest.raises(limits.TooMany, match="This address"):
        count("mara1@example.org", network=None)


def test_counting_is_one_question_to_redis(monkeypatch):
    count()  # Redis knows the script from now on
    asked = []
    send = Connection.send_packed_command

    def counted(self, command, *arguments, **named):
        asked.append(command)
        return send(self, command, *arguments, **named)

    monkeypatch.setattr(Connection, "send_packed_command", counted)
    monkeypatch.setattr(UnixDomainSocketConnection, "send_packed_command", counted)
    count()

    assert len(asked) == 1


def test_a_redis_that_was_emptied_learns_the_script_again():
    count()
    ephemeral.client().script_flush()

    for _ in range(9):
        count()
    with pytest.raises(limits.TooMany):
        count()


def test_a_counter_ends_an_hour_after_its_first_try():
    count()
    client = ephemeral.client()

    for name in client.keys("iria-limit:*"):
        assert 3_590_000 < client.pttl(name) <= 3_600_000


def test_no_address_stands_in_redis_in_clear():
    count()
    client = ephemeral.client()

    names = b" ".join(client.keys("*"))
    assert names
    assert b"mara" not in names
    assert b"example" not in names
    assert b"192.0.2" not in names


def test_without_redis_nobody_is_refused_nor_kept_waiting(settings, caplog):
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "unix:///nowhere/valkey.sock"}
    }
    start = time.monotonic()
    for _ in range(25):
        count()

    assert time.monotonic() - start < 2
    assert "sign-ups are not limited" in caplog.text
    assert "mara" not in caplog.text
