"""Messages per second of one real edition, against programs that keep no ledger.

Everything shares this machine's cores: sink, sender and database. Rounds alternate, so that a noisy
minute strikes all of them; the table shows medians, and for each contender its ratio to the
references of the same rounds. Kept as JSON in build/bench.json after every single run, so that
`--resume` goes on where an interrupted run stopped. `--rtt 20` puts 20 ms there and back between
senders and sink, and is kept in build/bench-rtt.json.
"""

import contextlib
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import contenders, delay, machine, namespaces, report, servers, sinks
from iria_news.embedded import valkey

REFERENCES = [
    "smtp-source, connections kept",
    "smtp-source, one for each message",
    "smtplib one by one",
    "django-newsletter",
]
# One round trip for the pipelined envelope, one for the message, and what 30 kB cost beyond that.
ROUND_TRIPS = 2.3


def main() -> int:
    options = _options()
    missing = [name for name in ("smtp-sink", "smtp-source") if sinks.program(name) is None]
    if missing:
        sys.stderr.write(f"{' and '.join(missing)} of Postfix are needed: install postfix\n")
        return 2
    path = machine.BUILD / ("bench-rtt.json" if options.rtt else "bench.json")
    state = _state(path, options)
    with (
        tempfile.TemporaryDirectory(prefix="iria-bench-") as folder,
        _line(options.rtt) as (host, port, simulated),
    ):
        Path(folder).chmod(0o755)  # the database runs as somebody else
        state["line"] = simulated
        redis = Path(folder) / "redis"
        with (
            servers.postgresql(Path(folder) / "postgresql") as database,
            servers.redis_server(redis),
        ):
            task = contenders.Task(
                options.recipients,
                options.size,
                options.connections,
                port,
                database_url=database.url(),
                redis_url=f"unix://{redis / valkey.SOCKET}",
                host=host,
            )
            _play(task, state, path, options)
    _say(state, options)
    return 0


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=30_000, dest="size")
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rtt", type=float, default=0, help="milliseconds there and back")
    parser.add_argument("--only", nargs="*", choices=list(contenders.ALL), metavar="NAME")
    parser.add_argument("--resume", action="store_true", help="go on with build/bench*.json")
    return parser.parse_args()


def _state(path: Path, options: Namespace) -> dict[str, Any]:
    """What an interrupted run of the same options had, or an empty one."""
    asked = {name: getattr(options, name) for name in ("recipients", "size", "connections", "rtt")}
    earlier = report.kept(path)
    if options.resume and earlier.get("asked") == asked:
        return earlier
    return {"asked": asked, **machine.described(), "rates": {}, "not_run": {}, "details": {}}


def _play(task: contenders.Task, state: dict[str, Any], path: Path, options: Namespace) -> None:
    rates, not_run = state["rates"], state["not_run"]
    names = options.only or list(contenders.ALL)
    if contenders.ALL[names[0]] not in contenders.MAKE_THE_MESSAGE:
        contenders.ours_on_sqlite(task)
    for number in range(1, options.rounds + 1):
        for name in names:
            if name in not_run or len(rates.get(name, [])) >= number:
                continue
            try:
                rates.setdefault(name, []).append(contenders.ALL[name](task))
            except contenders.NotRun as reason:
                not_run[name] = str(reason)
                rates.pop(name)
                continue
            sys.stderr.write(f"round {number}: {name}: {rates[name][-1]:,.0f}/s\n")
            state["details"] |= task.details
            report.keep(path, state)


@contextlib.contextmanager
def _line(rtt_ms: float) -> Iterator[tuple[str, int, str]]:
    """Host and port of the sink as senders reach it, and how the way there is made long."""
    with contextlib.ExitStack() as stack:
        if not rtt_ms:
            yield "127.0.0.1", stack.enter_context(sinks.smtp_sink()), "loopback"
            return
        try:
            found = _delayed_by_the_kernel(stack, rtt_ms)
        except namespaces.NoNamespaces as reason:
            sys.stderr.write(f"No delay by the kernel ({reason}): a proxy does it.\n")
            stack.close()
            sink, at = stack.enter_context(sinks.smtp_sink()), servers.free_port()
            stack.enter_context(delay.proxy([(at, sink)], rtt_ms=rtt_ms))
            found = "127.0.0.1", at, f"{rtt_ms:g} ms by a proxy"
        yield found


def _delayed_by_the_kernel(stack: contextlib.ExitStack, rtt_ms: float) -> tuple[str, int, str]:
    """The sink on one host and this process on another, with netem on the cable between them."""
    network = stack.enter_context(namespaces.network("sender"))
    network.delay("sender", rtt_ms=rtt_ms)
    host, port = network.address("server"), servers.free_port()
    stack.enter_context(sinks.smtp_sink(host=host, port=port, prefix=network.inside("server")))
    stack.enter_context(network.entered("sender"))
    servers.wait_for("smtp-sink", lambda: servers.accepts(host, port))
    return host, port, f"{rtt_ms:g} ms by netem"


def _say(state: dict[str, Any], options: Namespace) -> None:
    most = options.connections / (ROUND_TRIPS * options.rtt / 1000) if options.rtt else None
    references = [name for name in REFERENCES if name in state["rates"]]
    print(f"{state['date']}, {state['cores']} cores, {state['revision']}, {state['line']}")
    print(f"medians of {options.rounds} alternating rounds, {options.connections} connections\n")
    print(report.rates_table(state["rates"], state["not_run"], references, most=most))
    for name, found in state["details"].items():
        if "messages_per_commit" in found:
            print(
                f"\n{name}: {found['message_bytes']} bytes a message, "
                f"{found['messages_per_commit']} messages a commit, "
                f"{found['cpu_us_per_message']} us of CPU a message, "
                f"freeze {found['freeze_seconds']} s, peak {found['peak_rss_mb']} MB"
            )


if __name__ == "__main__":
    sys.exit(main())
