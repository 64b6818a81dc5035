"""The parts of the service: their command lines, and how to tell that one answers."""

import http.client
import socket
import sys
from collections.abc import Callable

from iria_news import settings
from iria_news.embedded import valkey
from iria_news.supervisor.children import Child

ANSWERS_WITHIN = 5  # seconds, for one question to a part
WORKER_STOPS_WITHIN = 60  # seconds; a submission server may be slow to answer the final dot
LISTENS_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # there we ask

WEB_PROCESSES, WEB_THREADS = 2, 4
WEB_FINISHES_WITHIN = 10  # seconds, for the requests that are being answered at a stop

WORKER_ENVIRONMENT = {
    # As root in a container Celery advises against root at every start. It matters for pickled
    # messages; ours are JSON only (CELERY_ACCEPT_CONTENT).
    "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    "CELERY_SKIP_CHECKS": "1",  # `preparation` has run Django's checks
}


def redis_server() -> Child:
    """Raises valkey.NoServerProgram."""
    path = str(settings.RUN_DIR / valkey.SOCKET)
    command = valkey.command(settings.RUN_DIR)
    return _child("valkey", command, 5, answers=lambda: _replies(path, b"+PONG", b"PING\r\n"))


def mail_catcher() -> Child:
    path = settings.SUBMISSION_SERVERS["default"].unix_socket
    command = [sys.executable, "-m", "iria_news.embedded.catcher"]
    return _child("catcher", command, 5, answers=lambda: _replies(path, b"220"))


def web_server() -> Child:
    host = f"[{settings.BIND}]" if ":" in settings.BIND else settings.BIND
    command = [
        *(sys.executable, "-m", "gunicorn", "iria_news.wsgi"),
        *("--bind", f"{host}:{settings.PORT}"),
        *("--worker-class", "gthread"),
        *("--workers", str(WEB_PROCESSES)),
        *("--threads", str(WEB_THREADS)),
        *("--graceful-timeout", str(WEB_FINISHES_WITHIN)),
        "--preload",  # the code is read once for all processes
        "--no-control-socket",  # it would lie below HOME, which may be read-only or missing
    ]
    return _child("web", command, WEB_FINISHES_WITHIN + 5, answers=_web_is_ready)


def workers() -> list[Child]:
    """Celery workers, so that nothing waits for what it does not need.

    Sending keeps a process busy for a minute and a half; the next edition is written down and
    rendered beside it; a person who waits for a confirmation waits for neither; and a webhook
    endpoint that does not answer makes nobody wait.
    """
    return [sending_worker(), preparing_worker(), confirming_worker(), calling_worker()]


def sending_worker() -> Child:
    return _worker("sending", "send", processes=settings.SENDING_WORKERS)


def preparing_worker() -> Child:
    # Two: while one writes an audience down, the other renders another edition, or ticks.
    return _worker("preparing", "freeze,render,default,tick", processes=2)


def confirming_worker() -> Child:
    return _worker("confirming", "confirm,tick", processes=1)


def calling_worker() -> Child:
    return _worker("calling", "webhooks", processes=1)


def beat() -> Child:
    command = [
        *(sys.executable, "-m", "celery", "-A", "iria_news", "beat"),
        *("--schedule", str(settings.RUN_DIR / "beat-schedule")),
        "--pidfile=",  # the lock on the data folder does its job
    ]
    return _child("beat", command, 10)


def _worker(name: str, queues: str, *, processes: int) -> Child:
    command = [
        *(sys.executable, "-m", "celery", "-A", "iria_news", "worker"),
        *("--hostname", f"{name}@%h"),
        *("--queues", queues),
        *("--pool", "prefork"),
        *("--concurrency", str(processes)),
        *("--loglevel", "INFO"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    return _child(name, command, WORKER_STOPS_WITHIN, environment=WORKER_ENVIRONMENT)


def _child(
    name: str,
    command: list[str],
    stop_seconds: float,
    *,
    answers: Callable[[], bool] | None = None,
    environment: dict[str, str] | None = None,
) -> Child:
    log = settings.DATA_DIR / "logs" / f"{name}.log"
    # Children may resolve a relative DATA_DIR from elsewhere, so they get the absolute one.
    environment = {"DATA_DIR": str(settings.DATA_DIR)} | (environment or {})
    return Child(name, command, log, stop_seconds, answers, environment)


def _replies(path: str, expected: bytes, question: bytes = b"") -> bool:
    """Whether whoever listens on this unix socket says what was expected."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWERS_WITHIN)
            line.connect(path)
            line.sendall(question)
            return line.recv(len(expected)) == expected
    except OSError:
        return False


def _web_is_ready() -> bool:
    host = LISTENS_EVERYWHERE.get(settings.BIND, settings.BIND)
    connection = http.client.HTTPConnection(host, settings.PORT, timeout=ANSWERS_WITHIN)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
