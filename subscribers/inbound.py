"""Mails that come in: one to an unsubscribe address acts by its token, any other is kept for later.

Nothing else in a mail is believed, for anybody can write anything there, and no mail is ever
answered (F12).
"""

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from subscribers import links, preferences
from subscribers.models import Subscription

LARGEST_BYTES = 10 * 2**20  # of a mail that are looked at; what is longer is cut off
KEPT_BYTES = 256 * 2**10  # of a mail; enough to see what somebody wants
KEPT_FOR = timedelta(days=30)
# Somebody who floods the mailbox must not fill the disk.
MOST_FILES = 20_000
MOST_BYTES = 500 * 10**6  # of all of them

# Where a mail system writes down to whom a mail was delivered (the first two are common, and not
# standard), and where the sender wrote it (RFC 5322 section 3.6.3).
NAMES_A_RECIPIENT = re.compile(rb"(?im)^(?:delivered-to|x-original-to|to):(.*\n?(?:[ \t].*\n?)*)")
END_OF_HEADER = re.compile(rb"\n[ \t]*\n")
# Where an address may stand without being seen: encodings of mail (RFC 2045, 2047), of links and
# HTML, and of letters that are not one byte each.
HIDES_WORDS = re.compile(rb"(?i)base64|quoted-printable|=\?|utf-?(?:7|16|32)|%40|&#|&commat;|\0")
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
        outcome.kept = _keep(raw[:KEPT_BYTES])
        reason = "no link of ours in it" if not tokens else "nothing could be ended"
        outcome.sentences.append(
            f"Kept as {outcome.kept.name}: {reason}."
            if outcome.kept
            else f"Not kept, for the room for mails that wait is full: {reason}."
        )
    return outcome


def forget_files(now: datetime) -> int:
    """Delete what was kept for longer than 30 days; return how many files that were."""
    overdue = [path for path in _files() if path.stat().st_mtime < (now - KEPT_FOR).timestamp()]
    for path in overdue:
        path.unlink(missing_ok=True)
    return len(overdue)


def forget_person(address: str, address_key: str) -> None:
    """Delete every kept mail that may name this address, in any case of letters.

    Nothing is decoded: there is always one more way to hide an address. So a mail of which some
    words cannot be read as they stand goes as well, whoever it is from. Reads all that is kept, so
    nobody should hold a lock meanwhile.
    """
    names = {name.lower().encode() for name in (address, address_key) if name}
    for path in _files():
        try:
            content = path.read_bytes().lower()
        except FileNotFoundError:  # another erasure, or its time was up
            continue
        if HIDES_WORDS.search(content) or any(name in content for name in names):
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
    if number == links.NOBODY:
        outcome.sentences.append("The address of a test mail: nothing was changed.")
        return
    place = Subscription.objects.filter(pk=number).select_related("subscriber").first()
    if place is None:
        outcome.sentences.append("The person of this token was erased: nothing was left to end.")
        return
    preferences.leave(place, source="mail")
    outcome.sentences.append(f"Subscription {number} has ended.")


def _keep(raw: bytes) -> Path | None:
    """Write the mail down, readable by us alone; the same bytes are kept once. None: no room."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(raw).hexdigest()[:32]}.eml"
    if path.exists():
        return path
    if not _has_room(folder, len(raw)):
        return None
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_bytes(raw)
    part.replace(path)
    return path


def _has_room(folder: Path, size: int) -> bool:
    number = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            number += 1
            with contextlib.suppress(FileNotFoundError):  # forgotten at this moment
                size += entry.stat().st_size
    return number < MOST_FILES and size <= MOST_BYTES


def _files() -> list[Path]:
    return sorted(_folder().glob("*.eml"))


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "inbound"
