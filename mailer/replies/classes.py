"""The classes of refusal, and the shape of a rule."""

import enum
import re
from dataclasses import dataclass
from functools import cached_property

OPENING = frozenset({"connect", "ehlo", "tls", "auth"})
RCPT = frozenset({"rcpt"})
MESSAGE = frozenset({"rcpt", "data", "dot", ""})  # where a "no" can be about the recipient


class Class(enum.StrEnum):
    """Why a message was not taken. The consequences are in docs/replies.md."""

    GONE = "gone"  # there is no such mailbox, and nobody could mean anything else
    FULL = "full"  # the mailbox has no room
    TRANSIENT = "transient"  # busy, greylisting, shutting down
    SIZE = "size"  # this message is too big
    CONTENT = "content"  # this message is not wanted as it is
    BLOCKED = "blocked"  # our reputation, or a policy against us
    AUTH = "auth"  # SPF, DKIM, DMARC, PTR or TLS of ours does not satisfy
    RATE = "rate"  # we send too fast
    CONNECTION_CAP = "connection_cap"  # enough on this connection
    SENDER_REFUSED = "sender_refused"  # the server does not take mail from us
    CREDENTIALS = "credentials"  # password or TLS of the submission server
    PROTOCOL = "protocol"  # we spoke SMTP wrongly
    OTHER = "other"  # nothing known, or words with two meanings


@dataclass(frozen=True)
class Ruling:
    """The class of one reply."""

    rule: str  # id of the rule that decided, at most 24 characters; it is stored, so never reused
    cls: Class
    permanent: bool  # the reply code was 5xx


@dataclass(frozen=True)
class Reply:
    """A reply as the rules see it."""

    stage: str
    code: str
    status: str  # subject and detail of the enhanced status: "1.1" of "5.1.1"
    words: str  # lower case, on one line, "@" for each address
    domain: str
    is_permanent: bool


@dataclass(frozen=True)
class Rule:
    """One line of the table. Fits a reply if every condition that is given does.

    `code`, `status` and `domain` are patterns for the whole value, `words` for any part of the
    text. Patterns stay linear: no repetition inside a repetition, gaps with an upper bound.
    """

    id: str
    cls: Class
    stages: frozenset[str] = frozenset()  # empty: any
    code: str = ""
    status: str = ""
    words: str = ""
    domain: str = ""
    permanent: bool | None = None  # True: 5xx only; False: anything else only

    def fits(self, reply: Reply) -> bool:
        return (
            (self.permanent is None or self.permanent == reply.is_permanent)
            and (not self.stages or reply.stage in self.stages)
            and all(pattern.fullmatch(getattr(reply, name)) for name, pattern in self._whole)
            and (not self.words or self._anywhere.search(reply.words) is not None)
        )

    @cached_property
    def _whole(self) -> list[tuple[str, re.Pattern[str]]]:
        patterns = {"code": self.code, "status": self.status, "domain": self.domain}
        return [(name, re.compile(pattern)) for name, pattern in patterns.items() if pattern]

    @cached_property
    def _anywhere(self) -> re.Pattern[str]:
        return re.compile(self.words)
