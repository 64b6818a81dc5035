from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailer.throttle import hours, limits, operators
from mailer.throttle.limits import Limit
from subscribers import addresses

BY = "the command line"


class Command(BaseCommand):
    help = "Say what limits a submission server or one domain of it, and change that."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("server", help="its name in the settings, for example default")
        parser.add_argument("domain", nargs="?", default="", help="of the recipients; none: all")
        parser.add_argument("--rate", type=float, help="messages a second; 0: as the settings say")
        changes = parser.add_mutually_exclusive_group()
        changes.add_argument("--suspend", action="store_true", help="until somebody releases it")
        changes.add_argument("--release", action="store_true", help="open it, whoever closed it")

    def handle(self, *, server: str, domain: str, rate: float | None, **options: object) -> None:
        if server not in settings.SUBMISSION_SERVERS:
            known = ", ".join(settings.SUBMISSION_SERVERS)
            raise CommandError(f"There is no submission server {server!r}. There are: {known}.")
        domain = _a_label(domain)
        if rate is not None:
            try:
                operators.set_rate(server, domain, rate or None, by=BY)
            except ValueError as error:
                raise CommandError(str(error)) from error
        if options["suspend"] and not operators.suspend(server, domain, by=BY):
            raise CommandError("It is suspended until a person releases it; nothing changed.")
        if options["release"] and not operators.release(server, domain, by=BY):
            raise CommandError("It is open; nothing changed.")
        self._show(server, domain)

    def _show(self, server: str, domain: str) -> None:
        standing = limits.read(settings.SUBMISSION_SERVERS[server])
        limit = standing.lanes.get(domain, Limit(domain)) if domain else standing.server
        hour = hours.this_hour(server, domain)
        self.stdout.write(f"{server}, {domain or 'whole server'}: {_state(limit)}")
        self.stdout.write(f"rate: {f'{limit.rate:.3g} a second' if limit.rate else 'no limit'}")
        if limit.connections is not None:
            self.stdout.write(f"connections: {limit.connections} for each worker")
        if limit.per_day is not None:
            self.stdout.write(f"today: {limit.left_today:,} of {limit.per_day:,} left")
        self.stdout.write(
            f"this hour: {hour.sent:,} sent, {hour.deferred:,} deferred, "
            f"{hour.refused:,} refused, {hour.failed:,} failed"
        )


def _state(limit: Limit) -> str:
    because = f": {limit.reason}" if limit.reason else ""
    if limit.closed_for == limits.HELD:
        return f"held until a person releases it{because}"
    if limit.closed_for:
        return f"suspended for {limit.closed_for / 60:.0f} more minutes{because}"
    return f"open{because}"


def _a_label(domain: str) -> str:
    """The domain as the keys of addresses spell it (A-labels); raises CommandError."""
    if not domain:
        return ""
    try:
        return addresses.parse(f"postmaster@{domain}").key.rpartition("@")[2]
    except addresses.BadAddress as error:
        raise CommandError(f"{domain} is not a domain that mail can be sent to.") from error
