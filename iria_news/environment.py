"""The process environment, read once and strictly; knows nothing of Django.

Every function returns a usable value or raises `Misconfigured` with a sentence that names the
variable, what is wrong with it and how a right value looks.
"""

import contextlib
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SOCKET_PATH_LIMIT = 100  # bytes; sun_path holds 108 on Linux, and a name is still to be added


class Misconfigured(Exception):
    """A setting has a value that cannot work. The message is a sentence for the operator."""


@dataclass(frozen=True)
class SubmissionServer:
    """Whoever takes our mail (RFC 5598 MSA): where it is and how to talk to it."""

    host: str
    port: int
    unix_socket: str = ""  # path; when set, host and port are only for show
    user: str = ""
    password: str = ""
    security: str = "none"  # "none", "starttls" (required, never optional) or "tls" (implicit)
    backend: str = ""  # dotted path of a Django email backend; when set, SMTP is not ours to speak
    name: str = "default"  # what throttle rows and newsletters call it
    connections: int = 4  # at once, for each sending process
    messages_each: int = 100  # on one connection
    rate: float = 0.0  # messages a second over all workers; 0 is no limit
    burst: int = 1  # messages that may leave at once after a pause, with a rate
    per_day: int = 0  # messages; 0 is no limit

    def __repr__(self) -> str:
        return f"SubmissionServer({self.unix_socket or f'{self.host}:{self.port}'})"


def run_folder(data_dir: Path) -> Path:
    """The folder for sockets: inside DATA_DIR, or in the temporary folder if that path is too long.

    Deterministic, so that every process of one installation finds the same sockets.
    """
    inside = data_dir / "run"
    if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
        return inside
    mark = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"iria-news-{os.getuid()}-{mark}"


def kept_secret(data_dir: Path, name: str) -> str:
    """Read the secret of this name from DATA_DIR, making it on the first start (mode 600).

    Processes that start together agree: the file appears whole (a hard link) or not at all.
    """
    path = data_dir / name
    try:
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=data_dir)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            Path(draft).unlink()
    except OSError as error:
        raise Misconfigured(
            f"DATA_DIR ({data_dir}) cannot be written: {error.strerror}. "
            "Give a folder that this user may write to."
        ) from error
    return _read_secret(path)


def _read_secret(path: Path) -> str:
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}.") from error
    if len(secret) < 32:
        raise Misconfigured(f"{path} holds less than 32 characters. Restore it from your backup.")
    return secret


def redis_urls(value: str, run_dir: Path) -> tuple[str, str]:
    """Return REDIS_URL in the spelling of redis-py and in that of Celery."""
    if not value:
        socket = run_dir / "valkey.sock"
        return f"unix://{socket}", f"redis+socket://{socket}"
    parts = _split("REDIS_URL", value, {"redis", "rediss", "unix"}, "redis://127.0.0.1:6379/0")
    if parts.scheme == "unix":
        number = dict(parse_qsl(parts.query)).get("db", "0")
        return value, f"redis+socket://{parts.path}?virtual_host={number}"
    if not parts.hostname:
        raise Misconfigured("REDIS_URL names no host. It looks like redis://127.0.0.1:6379/0.")
    return value, value


SCHEMES = {"smtp": ("none", 25), "smtp+tls": ("starttls", 587), "smtps": ("tls", 465)}


DEFAULT_SERVER = "default"  # the submission server of EMAIL_URL


def submission_servers(
    email_url: str, others: str, run_dir: Path, limits: Mapping[str, float]
) -> dict[str, SubmissionServer]:
    """Read EMAIL_URL, the server called "default", and SUBMISSION_SERVERS: `name=url name=url`.

    `limits` holds what a URL may override in its query: connections, messages_each, rate, burst
    and per_day.
    """
    servers = {DEFAULT_SERVER: submission_server(email_url, run_dir, limits=limits)}
    for pair in others.split():
        name, _, url = pair.partition("=")
        if not re.fullmatch(r"[a-z0-9-]{1,40}", name) or name in servers or not url:
            # Without its name an entry is a URL, and that may hold a password.
            shown = repr(name) if re.fullmatch(r"[\w-]{1,40}", name) else "an entry without a name"
            raise Misconfigured(
                f"SUBMISSION_SERVERS holds {shown}, but it takes name=url pairs divided by "
                "blanks: names of small letters, digits and hyphens, each once, not 'default'."
            )
        servers[name] = submission_server(
            url, run_dir, name=name, variable="SUBMISSION_SERVERS", limits=limits
        )
    return servers


def submission_server(
    value: str,
    run_dir: Path,
    *,
    name: str = DEFAULT_SERVER,
    variable: str = "EMAIL_URL",
    limits: Mapping[str, float] | None = None,
) -> SubmissionServer:
    """Read one URL: smtp://, smtp+tls:// (STARTTLS required), smtps:// (TLS from the start), or
    backend:// and the dotted path of a Django email backend.

    Empty means the local mail catcher. A password over an unprotected line is refused unless the
    server is on this machine.
    """
    limits = limits or {}
    if not value:
        catcher = str(run_dir / "catcher.sock")
        return _server("localhost", 0, limits, unix_socket=catcher, name=name)
    example = "smtp+tls://user:password@mail.example.org:587"
    parts = _split(variable, value, set(SCHEMES) | {"smtp+unix", "backend"}, example)
    limits = {**limits, **_limits(variable, parts)}
    if parts.scheme == "smtp+unix":
        return _server("localhost", 0, limits, unix_socket=parts.path, name=name)
    if not parts.hostname:
        raise Misconfigured(f"{variable} names no host. It looks like {example}.")
    if parts.scheme == "backend":
        return _server("localhost", 0, limits, backend=parts.netloc, name=name)
    security, port = SCHEMES[parts.scheme]
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.password and security == "none" and not local:
        raise Misconfigured(
            f"{variable} would send its password over an unprotected line. "
            "Use smtp+tls:// (STARTTLS) or smtps://."
        )
    return _server(
        parts.hostname,
        parts.port or port,
        limits,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        security=security,
        name=name,
    )


LIMITS: dict[str, Callable[[str], float]] = {
    "connections": int,
    "messages_each": int,
    "rate": float,
    "burst": int,
    "per_day": int,
}


def _limits(variable: str, parts: SplitResult) -> dict[str, float]:
    """The limits in a URL's query, checked."""
    found: dict[str, float] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        lowest = 0 if name in {"rate", "per_day"} else 1
        try:
            found[name] = LIMITS[name](value)
            usable = lowest <= found[name] < 1e9
        except (KeyError, ValueError):
            usable = False
        if not usable:
            raise Misconfigured(
                f"{variable} has the option {name}={value}, but a server takes "
                f"{', '.join(LIMITS)}, each with a number."
            )
    return found


def _server(host: str, port: int, limits: Mapping[str, Any], **parts: Any) -> SubmissionServer:
    return SubmissionServer(host, port, **parts, **limits)


def check_database_url(value: str) -> None:
    """Raise unless DATABASE_URL is empty (SQLite in DATA_DIR), postgres:// or sqlite://."""
    if value:
        example = "postgres://user:password@127.0.0.1:5432/iria"
        parts = _split("DATABASE_URL", value, {"postgres", "postgresql", "sqlite"}, example)
        if not parts.path.strip("/"):
            raise Misconfigured(f"DATABASE_URL names no database. It looks like {example}.")


def site_url(value: str) -> str:
    """Check SITE_URL, the address readers see in links, and return it without a last slash."""
    parts = _split("SITE_URL", value, {"http", "https"}, "https://news.example.org")
    if not parts.hostname or parts.query or parts.fragment or parts.path.strip("/"):
        raise Misconfigured(
            f"SITE_URL is {value!r}, but it takes scheme and host only, "
            "such as https://news.example.org."
        )
    return value.rstrip("/")


ORIGIN = re.compile(
    r"https://(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+(:(\d{1,5}|\*))?"
    r"|https?://(localhost|127\.0\.0\.1)(:(\d{1,5}|\*))?"
)


def origins(name: str, values: Iterable[str]) -> list[str]:
    """Check sites of others: scheme, host and port only; *. stands for every host below one."""
    found = [value.strip().lower() for value in values if value.strip()]
    for value in found:
        if not ORIGIN.fullmatch(value):
            raise Misconfigured(
                f"{name} holds {value!r}, but it takes sites such as https://www.example.org or "
                "https://*.example.org, divided by commas, without a path."
            )
    return found


def one_line(name: str, value: str) -> str:
    """Check a text that stands in every mail: not empty, and on one line (M15, W9)."""
    if not value.strip() or not value.isprintable():
        raise Misconfigured(f"{name} is empty or holds a line break. Every mail shows it.")
    return value


def mailbox(name: str, value: str) -> str:
    """Check an address that mails name."""
    local, at, domain = value.rpartition("@")
    if not (local and at and value.isascii() and value.isprintable()) or " " in value:
        raise Misconfigured(
            f"{name} is {value!r}, but it takes an address such as news@example.org."
        )
    mail_domain(name, domain)
    return value


def mail_domain(name: str, value: str) -> str:
    """Check a domain that addresses and Message-IDs end with: ASCII, IDNA written as xn--."""
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", value):
        raise Misconfigured(f"{name} is {value!r}, but it takes a domain such as example.org.")
    return value


def port(value: str) -> int:
    """Check PORT, the one fixed port: that of the web server."""
    if value.isascii() and value.isdigit() and 1 <= int(value) <= 65535:
        return int(value)
    raise Misconfigured(f"PORT is {value!r}, but it takes a number from 1 to 65535.")


def _split(name: str, value: str, schemes: Iterable[str], example: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  # reading it is what checks it
    except ValueError as error:
        # What urlsplit says may hold a piece of the password: "/" in it ends the host too early.
        raise Misconfigured(
            f"{name} cannot be read. It looks like {example}; "
            "in a password, special characters are written as %XX."
        ) from error
    if parts.scheme not in schemes:
        known = ", ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise Misconfigured(
            f"{name} starts with {parts.scheme or 'nothing'}://, but only {known} are known. "
            f"It looks like {example}."
        )
    return parts
