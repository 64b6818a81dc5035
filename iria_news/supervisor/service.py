"""The order in which the parts start and stop, and what happens when one ends in between."""

import signal
import sys
import time
from collections.abc import Callable

from iria_news import settings
from iria_news.embedded import valkey
from iria_news.environment import Misconfigured
from iria_news.supervisor import children, parts
from iria_news.supervisor.children import Child
from iria_news.supervisor.console import say

LOOK_EVERY = 0.1  # seconds
ASK_EVERY = 0.2  # seconds; the readiness page asks the database, and logs each "not yet"
SAME_PRESS = 0.5  # seconds; `make` or a wrapper may pass on the Ctrl-C that we already got
STARTS_WITHIN = 60  # seconds, for one part to answer


class StopAsked(Exception):
    """SIGINT, SIGTERM or SIGHUP came: stop everything in good order."""


class StartFailed(Exception):
    """A part did not start. The message is a sentence that says where to look."""


class Service:
    """All parts that were started. Whatever happens to the start, `stop` ends them all."""

    def __init__(self, *, with_demo: bool) -> None:
        self.with_demo = with_demo
        self._steps: list[list[Child]] = []  # in the order of starting
        self._asked_at: float | None = None  # monotonic
        self._urgent = False

    def take_signals(self) -> None:
        """From now on a first signal asks for a stop in good order, a second one kills."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: object) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > SAME_PRESS:
            self._urgent = True

    def _wait_a_moment(self, seconds: float = LOOK_EVERY) -> None:
        """Every wait before a stop passes here. Raises StopAsked."""
        if self._asked_at is not None:
            raise StopAsked
        time.sleep(seconds)

    def start(self) -> None:
        """Start part after part, each when the one it needs answers.

        Raises Misconfigured, StartFailed or StopAsked; what runs by then is for `stop` to end.
        """
        began = time.monotonic()
        say(f"IRIA News keeps everything in {settings.DATA_DIR}")
        (settings.DATA_DIR / "logs").mkdir(exist_ok=True)
        if settings.USES_EMBEDDED_VALKEY:
            self._start_and_wait(_redis_server())
            say("Valkey: ready.")
        if settings.USES_MAIL_CATCHER:
            self._start_and_wait(parts.mail_catcher())
            say("Mail catcher: ready.")
        self._prepare()
        web = parts.web_server()
        self._start(web)
        self._start(*parts.workers())
        self._start(parts.beat())
        say("Web server, workers and beat: starting.")
        self._wait_for(web)
        say(f"Ready after {time.monotonic() - began:.1f} seconds.")
        _show_addresses()

    def _start(self, *together: Child) -> None:
        self._steps.append(list(together))
        for child in together:
            child.start()

    def _start_and_wait(self, child: Child) -> None:
        # After a killed supervisor its parts need a moment to go, and they take their socket along.
        if not self._comes_true(lambda: not child.answers()):
            raise StartFailed(f"Another {child.name} still answers on our socket. Stop it first.")
        self._start(child)
        self._wait_for(child)

    def _wait_for(self, child: Child) -> None:
        how: str | None = None

        def settled() -> bool:
            nonlocal how
            how = child.ended()
            return how is not None or child.answers()

        if not self._comes_true(settled):
            how = f"no answer within {STARTS_WITHIN} seconds"
        if how:
            raise StartFailed(f"{child.name} did not start: {how}. Its log is {child.log}")

    def _comes_true(self, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + STARTS_WITHIN
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._wait_a_moment(ASK_EVERY)
        return True

    def _prepare(self) -> None:
        command = [sys.executable, "-m", "iria_news.supervisor.preparation"]
        if not self.with_demo:
            command.append("--no-demo")
        process = children.spawn(
            command, output=None, environment={"DATA_DIR": str(settings.DATA_DIR)}
        )
        try:
            while process.poll() is None:
                self._wait_a_moment()
        finally:
            process.kill()
            process.wait()
        if process.returncode == 2:
            sys.exit(2)  # it has said why
        if process.returncode:
            raise StartFailed("The preparation failed, so nothing was started.")

    def watch(self) -> None:
        """Keep the parts running until a signal comes. Raises StopAsked."""
        while True:
            self._wait_a_moment()
            for child in self._children():
                how = child.ended()
                if how:
                    say(f"{child.name} ended ({how}); it starts again in {child.delay:.0f} s.")
                child.start_again()

    def stop(self) -> bool:
        """End all parts, the youngest step first; False when some had to be killed on request."""
        for step in reversed(self._steps):
            for child in step:
                child.ask_to_stop()
            for child in step:
                self._wait_until_gone(child)
        return not self._urgent

    def _wait_until_gone(self, child: Child) -> None:
        deadline = time.monotonic() + child.stop_seconds
        while child.pid and not child.ended():
            if self._urgent or time.monotonic() > deadline:
                if not self._urgent:
                    say(f"{child.name} did not stop within {child.stop_seconds:.0f} s: killed.")
                child.kill_group()
            time.sleep(LOOK_EVERY)

    def _children(self) -> list[Child]:
        return [child for step in self._steps for child in step]


def _redis_server() -> Child:
    try:
        return parts.redis_server()
    except valkey.NoServerProgram as error:
        raise Misconfigured(str(error)) from error


def _show_addresses() -> None:
    say("")
    say(f"  Site   {settings.SITE_URL}/")
    if settings.USES_MAIL_CATCHER:
        say(f"  Inbox  {settings.SITE_URL}/inbox/")
    say(f"  Admin  {settings.SITE_URL}/admin/")
    say(f"  Logs   {settings.DATA_DIR / 'logs'}")
    if settings.USES_MAIL_CATCHER and settings.BIND not in {"127.0.0.1", "::1", "localhost"}:
        say(f"  Whoever reaches port {settings.PORT} of {settings.BIND} can read the inbox.")
    say("")
    say("Ctrl-C stops everything.")
