"""Whether the servers we depend on answer. Each failure is a sentence that names the variable.

A password is in none of the sentences: drivers may repeat the address they were given, so what
they say is cleaned first.
"""

import socket
from urllib.parse import unquote, urlsplit

import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from iria_news import backend, smtp
from iria_news.environment import Misconfigured, SubmissionServer

CONNECT_TIMEOUT = 10  # seconds; a server behind a closed firewall does not answer at all


def check_database() -> None:
    """Raise Misconfigured unless the database takes a query."""
    url = settings.DATABASE_URL
    place = _place(url) if url else str(settings.DATABASES["default"]["NAME"])
    options = settings.DATABASES["default"].setdefault("OPTIONS", {})
    if not settings.IS_SQLITE:
        options.setdefault("connect_timeout", CONNECT_TIMEOUT)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except ImproperlyConfigured as error:
        raise Misconfigured(
            "DATABASE_URL asks for PostgreSQL, but its driver is not installed. "
            'Install it with: pip install "psycopg[binary]"'
        ) from error
    except DatabaseError as error:
        name = "DATABASE_URL" if url else "DATA_DIR"
        raise Misconfigured(
            f"{name}: the database {place} does not answer: {_cleaned(error, url)}."
        ) from error


def check_redis() -> None:
    """Raise Misconfigured unless the Redis-compatible server answers PING."""
    url = settings.REDIS_URL
    try:
        with redis.Redis.from_url(
            url, socket_timeout=CONNECT_TIMEOUT, socket_connect_timeout=CONNECT_TIMEOUT
        ) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        raise Misconfigured(
            f"REDIS_URL: the server {_place(url)} does not answer: {_cleaned(error, url)}."
        ) from error


def check_submission_server() -> None:
    """Raise Misconfigured unless the submission server greets us and takes our password.

    Of a backend only its settings are known before its first message.
    """
    server: SubmissionServer = settings.SUBMISSION_SERVERS["default"]
    place = server.backend or server.unix_socket or f"{server.host}:{server.port}"
    try:
        if not (server.unix_socket or server.backend):
            socket.create_connection((server.host, server.port), CONNECT_TIMEOUT).close()
        with backend.open_session(server):
            pass
    except (smtp.ServerUnavailable, OSError) as error:
        raise Misconfigured(
            f"EMAIL_URL: the submission server {place} does not answer as it should: "
            f"{_cleaned(error, settings.EMAIL_URL)}."
        ) from error


def _place(url: str) -> str:
    """Host, port and name of what a URL points to, without user and password."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _cleaned(error: Exception, url: str) -> str:
    """The first line of what a driver said, without the password of `url`."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = text.strip().splitlines()
    said = lines[0].rstrip(". ") if lines else type(error).__name__
    password = urlsplit(url).password
    for spelling in {password, unquote(password)} if password else ():
        said = said.replace(spelling, "***")
    return said
