"""Cuts what a server sends into replies. Knows no socket."""

LIMIT = 65_536  # bytes of one reply; no honest one comes near it
CLASSES = b"2345"  # what a code begins with (RFC 5321 section 4.2.1)
AFTER_CODE = b" -\r"  # a text, another line, or the end of a bare code


class OutOfStep(ConnectionError):
    """Commands and replies no longer match, so no later reply can be believed."""


class Replies:
    """Cuts what a server sends into replies (RFC 5321 section 4.2.1). Knows no socket."""

    def __init__(self) -> None:
        self._unread = b""
        self._texts: list[bytes] = []  # of a reply that has begun
        self._begun = 0  # bytes of it
        self.is_out_of_step = False  # a reply came that nobody had asked for

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that was not asked for."""
        return not (self._unread or self._texts or self.is_out_of_step)

    def feed(self, received: bytes) -> list[tuple[int, bytes]]:
        """Return the replies that are complete now.

        Raises ConnectionError when the server has closed the line or its reply does not end, and
        OutOfStep for what is no reply.
        """
        if not received:
            raise ConnectionError("the server closed the connection")
        *rows, self._unread = (self._unread + received).split(b"\n")
        complete = []
        for row in rows:
            code, after = row[:3], row[3:4]
            if len(code) < 3 or not (code.isdigit() and row[0] in CLASSES and after in AFTER_CODE):
                raise OutOfStep("the server's reply has no code")
            if after == b"-":
                self._texts.append(row[4:].strip())
                self._begun += len(row)
            elif self._texts:
                complete.append((int(code), b" ".join([*self._texts, row[4:].strip()])))
                self._texts, self._begun = [], 0
            else:
                complete.append((int(code), row[4:].strip()))
        if len(self._unread) + self._begun > LIMIT:
            raise ConnectionError("the server's reply does not end")
        return complete
