from argparse import ArgumentParser
from datetime import date

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailer.throttle import warm_up


class Command(BaseCommand):
    help = "Plan how many messages a new submission server may take on each day (UTC)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("server", help="its name in the settings")
        parser.add_argument("--start", type=date.fromisoformat, required=True, help="2026-12-01")
        parser.add_argument("--from", type=int, dest="first", required=True, metavar="N")
        parser.add_argument("--factor", type=float, default=1.5, help="from each day to the next")
        parser.add_argument("--until", type=int, required=True, metavar="M", help="last day's")
        parser.add_argument("--apply", action="store_true", help="write it, instead of showing it")

    def handle(
        self, *, server: str, start: date, first: int, factor: float, until: int, **options: object
    ) -> None:
        if server not in settings.SUBMISSION_SERVERS:
            known = ", ".join(settings.SUBMISSION_SERVERS)
            raise CommandError(f"There is no submission server {server!r}. There are: {known}.")
        try:
            days = warm_up.plan(start=start, first=first, factor=factor, until=until)
        except warm_up.BadPlan as error:
            raise CommandError(str(error)) from error
        total = 0
        for day, volume in days:
            total += volume
            self.stdout.write(f"{day:%a %Y-%m-%d}  {volume:>12,}  {total:>14,} so far")
        self.stdout.write(f"Before {start}: {first:,} a day. After {days[-1][0]}: no limit.")
        if not options["apply"]:
            self.stdout.write("Nothing is written. Add --apply to make this the plan.")
            return
        replaced = warm_up.replace(server, days)
        instead = f", instead of {replaced}" if replaced else ""
        self.stdout.write(f"Written: {len(days)} days for {server}{instead}.")
