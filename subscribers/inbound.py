"""Mails that come in: one to an unsubscribe address acts by its token, any other is kept for later.

Nothing else in a mail is believed, for anybody can write anything there, and no mail is ever
answered (F12).
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from subscribers import links, preferences
from subscribers.models import Subscriber, Subscription

LARGEST_BYTES = 10 * 2**20  # of a mail; what is longer is cut off, and kept so
KEPT_FOR = timedelta(days=30)
MOST_FILES = 20_000  # somebody who floods the mailbox must not fill the disk

# Where a mail system writes down to whom a mail was delivered (the first two are common, and not
# standard), and where the sender wrote it (RFC 5322 section 3.6.3).
NAMES_A_RECIPIENT = re.compile(rb"(?im)^(?:delivered-to|x-original-to|to):(.*\n?(?:[ \t].*\n?)*)")
END_OF_HEADER = re.compile(rb"\n[ \t]*\n")
# Some programs keep the plus sign of a mailto address percent-encoded (RFC 6068).
UNSUBSCRIBE = re.compile(rb"(?i)\bunsubscribe(?:\+|%2b)([a-z2-7]{26})@([a-z0-9.-]+)")


@dataclass
class Outcome:
    """What became of one mail, in sentences for an operator; no address in them."""

    ended: int = 0
    kept: Path | None = None
    sentences: list[str] = field(default_factory=list)


def receive(raw: bytes) -> Outcome:
    """Act on one mail (RFC 5322), whatever its bytes are; twice does nothing more.

    Raises only when the database or the disk does: the mail system should then try again.
    """
    outcome = Outcome()
    tokens = _tokens(raw[:LARGEST_BYTES])
    for token in tokens:
        _end(token, outcome)
    if not outcome.ended:
        outcome.kept = _keep(raw[:LARGEST_BYTES])
        reason = "no link of ours in it" if not tokens else "nothing could be ended"
        outcome.sentences.append(
            f"Kept as {outcome.kept.name}: {reason}."
            if outcome.kept
            else f"Not kept, for {MOST_FILES} mails wait already: {reason}."
        )
    return outcome


def forget_files(now: datetime) -> int:
    """Delete what was kept for longer than 30 days; return how many files that were."""
    overdue = [path for path in _files() if path.stat().st_mtime < (now - KEPT_FOR).timestamp()]
    for path in overdue:
        path.unlink(missing_ok=True)
    return len(overdue)


def forget_person(subscriber: Subscriber) -> None:
    """Delete every kept mail that names this person's address, in any case of letters."""
    names = {name.lower().encode() for name in (subscriber.address, subscriber.address_key) if name}
    for path in _files():
        content = path.read_bytes().lower()
        if any(name in content for name in names):
            path.unlink(missing_ok=True)


def _tokens(raw: bytes) -> list[str]:
    """The tokens of all unsubscribe addresses of ours among its recipients, each once."""
    text = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    header = END_OF_HEADER.split(b"\n" + text, maxsplit=1)[0]
    ours = settings.BOUNCE_DOMAIN.lower().encode()
    found = [
        match[1].decode().lower()
        for value in NAMES_A_RECIPIENT.findall(header)
        for match in UNSUBSCRIBE.finditer(value)
        if match[2].lower().rstrip(b".") == ours
    ]
    return list(dict.fromkeys(found))


def _end(token: str, outcome: Outcome) -> None:
    try:
        number = links.read_unsubscribe(token)
    except links.BadLink:
        outcome.sentences.append("An unsubscribe address whose token is not ours.")
        return
    outcome.ended += 1
    place = Subscription.objects.filter(pk=number).select_related("subscriber").first()
    if place is None:
        outcome.sentences.append("The person of this token was erased: nothing was left to end.")
        return
    preferences.leave(place, source="mail")
    outcome.sentences.append(f"Subscription {number} has ended.")


def _keep(raw: bytes) -> Path | None:
    """Write the mail down, readable by us alone; the same bytes are kept once."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(raw).hexdigest()[:32]}.eml"
    if path.exists():
        return path
    if sum(1 for _ in folder.iterdir()) >= MOST_FILES:
        return None
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_bytes(raw)
    part.replace(path)
    return path


def _files() -> list[Path]:
    return sorted(_folder().glob("*.eml"))


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "inbound"
