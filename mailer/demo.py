"""`make demo`: the main job from start to finish in a scratch folder, checked in the inbox.

Starts the whole service, loads the demo newsroom, sends one edition to many readers and compares
what arrived with who was due. DEMO_KILL=1 kills a sending worker with SIGKILL on the way. The last
line is one JSON object; exit code 1 if the books, or the inbox, do not say what they should.
"""

import contextlib
import email.policy
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer.models import Edition
    from subscribers.models import Newsletter

SCRATCH = Path(__file__).resolve().parent.parent / "build" / "demo"
EMBEDDED_ONLY = (
    "DATABASE_URL",
    "REDIS_URL",
    "EMAIL_URL",
    "SITE_URL",
)  # a demo never meets real data
READERS = 500
START_SECONDS = 60
SEND_SECONDS = 300  # a killed worker's lease alone takes 60
KILL_AFTER = 0.2  # of the messages


def main() -> int:
    started = time.monotonic()
    port = _free_port()
    _settle_environment(port)
    shutil.rmtree(SCRATCH, ignore_errors=True)
    with _service(port):
        import django  # noqa: PLC0415  # the environment had to be settled first

        django.setup()
        report = _play()
    report["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps(report))
    return 0 if report["balanced"] and report["as_expected"] else 1


def _say(text: str) -> None:
    print(f"demo: {text}", flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _settle_environment(port: int) -> None:
    for name in EMBEDDED_ONLY:
        os.environ.pop(name, None)
    os.environ |= {
        "DATA_DIR": str(SCRATCH),
        "PORT": str(port),
        "TICK_SECONDS": "1",
        "DJANGO_SETTINGS_MODULE": "iria_news.settings",
    }


@contextlib.contextmanager
def _service(port: int) -> Iterator[None]:
    """The whole service in processes of its own, as `make run` starts it."""
    command = [sys.executable, "-m", "iria_news.supervisor", "--no-demo"]
    supervisor = subprocess.Popen(command)  # noqa: S603  # our own program
    try:
        _wait_until_ready(supervisor, port)
        yield
    finally:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(timeout=90)


def _wait_until_ready(supervisor: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and supervisor.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError):
            address = f"http://127.0.0.1:{port}/readyz"
            with urllib.request.urlopen(address, timeout=5) as answer:  # ours
                if answer.status == 200:
                    return
        time.sleep(0.2)
    raise SystemExit("demo: the service did not become ready; its logs are in build/demo/logs")


def _play() -> dict[str, object]:
    from mailer import monitoring, opening, tasks  # noqa: PLC0415  # needs django.setup()

    newsletter, due = _load()
    edition = opening.send_now(newsletter, by=None)
    tasks.ring_tick()
    _say(f"edition {edition.pk} is approved: {edition.items.count()} articles")
    connections = _follow(edition)
    ledger = monitoring.ledger(edition)
    _say(str(ledger))
    copies = _inbox()
    duplicates = sum(copies.values()) - len(copies)
    arrived = Counter(address for address, _ in copies)
    as_expected = set(arrived) == due and max(arrived.values()) == 1 and duplicates <= connections
    _say(
        f"inbox: {sum(copies.values())} messages for {len(arrived)} readers, {len(due)} were due, "
        f"{duplicates} copies too many (at most {connections} allowed)"
    )
    unsubscribed = _leave_with_one_click(edition)
    return {
        "edition": edition.pk,
        "candidates": ledger.candidates,
        "excluded": ledger.excluded,
        "cohorts": edition.cohorts.count(),
        "css_inlinings": sum(edition.cohorts.values_list("inlinings", flat=True)),
        **ledger.by_state,
        "balanced": ledger.settled,
        "due": len(due),
        "inbox_messages": sum(copies.values()),
        "inbox_readers": len(arrived),
        "duplicates": duplicates,
        "duplicates_allowed": connections,
        "one_click_unsubscribed": unsubscribed,
        "as_expected": as_expected and unsubscribed,
    }


def _load() -> "tuple[Newsletter, set[str]]":
    """The newsroom, and readers of every kind: due, gone, stopped, unconfirmed, too late."""
    from django.utils import timezone  # noqa: PLC0415  # needs django.setup()

    from iria_news.articles.demo import newsroom  # noqa: PLC0415  # likewise
    from subscribers import demo  # noqa: PLC0415  # likewise

    now = timezone.now()
    articles = newsroom.load(now)
    newsletter = demo.load_newsletters()
    demo.load_readers(newsletter, READERS, now=now)
    gone = demo.spoil_some(newsletter, now=now)
    due = demo.readers_due(newsletter, now=now)
    _say(f"{articles} articles, {READERS} readers; {gone} of them must get nothing")
    return newsletter, due


def _follow(edition: "Edition") -> int:
    """Wait until the edition is done; return how many copies too many a kill may have caused."""
    from mailer import monitoring  # noqa: PLC0415  # needs django.setup()
    from mailer.models import AT_REST, Batch, BatchState, EditionState  # noqa: PLC0415  # likewise

    to_kill = os.environ.get("DEMO_KILL") == "1"
    killed = 0
    told = ("", 0)
    deadline = time.monotonic() + SEND_SECONDS
    while time.monotonic() < deadline:
        edition.refresh_from_db()
        ledger = monitoring.ledger(edition)
        sent = ledger.by_state["sent"]
        tenth = sent * 10 // max(ledger.deliveries, 1)
        if told != (edition.state, tenth):
            _say(f"{edition.state}: {sent} of {ledger.deliveries} sent")
            told = (edition.state, tenth)
        if edition.state in AT_REST or edition.state == EditionState.PAUSED:
            return killed
        if to_kill and ledger.deliveries and sent >= KILL_AFTER * ledger.deliveries:
            leased = Batch.objects.filter(edition=edition, state=BatchState.LEASED)
            owner = leased.exclude(leased_by="").values_list("leased_by", flat=True).first()
            if owner:
                killed, to_kill = _kill(int(owner.rpartition(":")[2])), False
        time.sleep(0.05)
    raise SystemExit(f"demo: the edition is still {edition.state} after {SEND_SECONDS} seconds")


def _kill(pid: int) -> int:
    """SIGKILL the whole worker that this process belongs to; return the connections it had."""
    from django.conf import settings  # noqa: PLC0415  # needs django.setup()

    group = os.getpgid(pid)
    os.killpg(group, signal.SIGKILL)
    _say(f"killed worker group {group} with SIGKILL; its leases run out within 60 seconds")
    return int(settings.SENDING_WORKERS * settings.SUBMISSION_SERVERS["default"].connections)


def _inbox() -> Counter[tuple[str, str]]:
    """How often each (recipient, Message-ID) of a newsletter arrived, from the stored files."""
    parser = BytesHeaderParser(policy=email.policy.default)
    copies: Counter[tuple[str, str]] = Counter()
    for path in (SCRATCH / "inbox").glob("*.eml"):
        with path.open("rb") as file:
            headers = parser.parse(file)
        if headers["List-Unsubscribe"]:
            copies[str(headers["To"]), str(headers["Message-ID"])] += 1
    return copies


def _leave_with_one_click(edition: "Edition") -> bool:
    """Press "unsubscribe" as a mailbox provider does (RFC 8058); say whether it took effect."""
    from subscribers import links  # noqa: PLC0415  # needs django.setup()
    from subscribers.models import Subscription  # noqa: PLC0415  # likewise

    subscription = Subscription.objects.active().filter(newsletter=edition.newsletter_id).first()
    assert subscription is not None
    request = urllib.request.Request(  # noqa: S310  # our own address
        links.unsubscribe_url(subscription.pk), data=b"List-Unsubscribe=One-Click", method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # likewise
        pressed = answer.status == 200
    subscription.refresh_from_db()
    _say("one reader left with one click")
    return pressed and subscription.ended_at is not None


if __name__ == "__main__":
    sys.exit(main())
