"""The way in. Exit codes: 0 stopped as asked, 1 a part failed, 2 wrong settings, 130 killed."""

import os
import sys
from argparse import ArgumentParser

from environs import EnvError

from iria_news.environment import Misconfigured
from iria_news.supervisor.console import complain, say

KILLED = 130  # what a shell reports for a program that Ctrl-C ended


def main() -> int:
    parser = ArgumentParser(prog="python -m iria_news.supervisor", description=__doc__)
    parser.add_argument("--no-demo", action="store_true", help="start with an empty newsroom")
    options = parser.parse_args()
    os.umask(0o077)  # database, logs and inbox hold addresses of people: for this user only
    try:
        from iria_news import settings  # noqa: PLC0415  # reading them is what may fail
        from iria_news.supervisor import claims  # noqa: PLC0415

        with claims.data_folder(settings.DATA_DIR):
            claims.socket_folder(settings.RUN_DIR)
            claims.web_port(settings.BIND, settings.PORT)
            return run(with_demo=not options.no_demo)
    except (Misconfigured, EnvError) as error:
        complain(error)
        return 2


def run(*, with_demo: bool) -> int:
    """Start, watch until asked to stop, and stop whatever had started by then."""
    from iria_news.supervisor import service  # noqa: PLC0415  # needs the settings

    everything = service.Service(with_demo=with_demo)
    everything.take_signals()
    code = 0
    try:
        everything.start()
        everything.watch()
    except service.StopAsked:
        say("Stopping; what is on its way is finished first. A second Ctrl-C ends all at once.")
    except service.StartFailed as error:
        complain(error)
        code = 1
    finally:
        in_good_order = everything.stop()
    if not in_good_order:
        return KILLED
    say("Stopped.")
    return code


if __name__ == "__main__":
    sys.exit(main())
