"""The local mail catcher: takes every message over a unix socket and sends none on.

Each message becomes two files in INBOX_DIR: `<id>.eml`, byte for byte as received, and
`<id>.json` with the envelope. No database, so that a full inbox never holds up SQLite's writer.
Run as `python -m iria_news.embedded.catcher`.
"""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

SIZE_LIMIT = 25_000_000  # bytes; what large mailbox providers take
TICK = timedelta(microseconds=1)

logger = logging.getLogger(__name__)


class SocketInUse(Exception):
    """Another catcher answers on this socket."""


class Keeper:
    """Writes each message down before it says 250: a name that is there is a whole message."""

    def __init__(self, inbox_dir: Path) -> None:
        self._inbox_dir = inbox_dir
        self._last = datetime.min.replace(tzinfo=UTC)
        inbox_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self,
        _server: SMTP,
        session: Session,
        _envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Offer PIPELINING too: aiosmtpd reads commands in order, however many come at once."""
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)  # decode_data is off
        assert envelope.mail_from is not None
        sender = "" if envelope.mail_from == "<>" else envelope.mail_from  # the null reverse-path
        try:
            name = self.keep(envelope.content, sender, envelope.rcpt_tos)
        except OSError as error:
            return f"452 The inbox cannot be written: {error.strerror}"
        return f"250 Kept as {name}"

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours is 451, "try again": aiosmtpd's own 500 would refuse the message."""
        logger.error("not kept", exc_info=error)
        return "451 Not kept, because of a fault in the mail catcher"

    def keep(self, content: bytes, sender: str, recipients: list[str]) -> str:
        """Store one message and return its id. The envelope is there before the message is."""
        name = self._next_name()
        envelope = {"from": sender, "to": recipients}
        self._write(f"{name}.json", json.dumps(envelope).encode())
        self._write(f"{name}.eml", content)
        return name

    def _next_name(self) -> str:
        """Names sort by time of arrival, also when two come in one microsecond."""
        now = max(datetime.now(UTC), self._last + TICK)
        self._last = now
        return f"{now:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(4)}"

    def _write(self, name: str, content: bytes) -> None:
        draft = self._inbox_dir / f".{name}.part"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            draft.rename(self._inbox_dir / name)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


async def serve(socket_path: Path, inbox_dir: Path) -> None:
    """Take mail on `socket_path` until SIGTERM or SIGINT. A socket file of the dead is replaced.

    Raises SocketInUse when somebody still answers on it.
    """
    if _answers(socket_path):
        raise SocketInUse(f"Another mail catcher answers on {socket_path}.")
    loop = asyncio.get_running_loop()
    keeper = Keeper(inbox_dir)

    def connection() -> SMTP:
        return SMTP(
            keeper,
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="IRIA News mail catcher",
            loop=loop,
        )

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_unix_server(connection, socket_path)
    try:
        await stopped.wait()
    finally:
        server.close()
        with contextlib.suppress(FileNotFoundError):
            socket_path.unlink()


def _answers(socket_path: Path) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as line:
        return line.connect_ex(str(socket_path)) == 0


def main() -> None:
    """Serve the socket and the folder that the settings name."""
    from iria_news import settings  # noqa: PLC0415  # tests use the catcher with other folders

    settings.RUN_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        asyncio.run(
            serve(Path(settings.SUBMISSION_SERVERS["default"].unix_socket), settings.INBOX_DIR)
        )
    except SocketInUse as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
