import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

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


def test_no_address_stands_in_redis_in_clear():
    count()
    client = cache._cache.get_client()

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
