"""The last output of a soak: what docs/benchmarks.md keeps."""

from typing import Any

from benchmarks import report


def text(found: dict[str, Any]) -> str:
    """Tables and, last, a sentence for each broken bound or one that says there is none."""
    broken = found["broken"]
    verdict = [f"BROKEN: {sentence}" for sentence in broken] or ["Every bound holds."]
    return "\n\n".join([_head(found), _figures(found), _pages(found), "\n".join(verdict)])


def _head(found: dict[str, Any]) -> str:
    return (
        f"{found['date']}, {found['cores']} cores, {found['memory_gib']} GiB, kernel "
        f"{found['kernel']}, revision {found['revision']}, {found['database']}, "
        f"seed {found['seed']}\n{found['books']['ledger']}"
    )


def _figures(found: dict[str, Any]) -> str:
    book, confirming = found["books"], found["confirming"]
    minutes = found["sending_seconds"] / 60
    rows = [
        ("recipients, cohorts, bytes", _list(found, "recipients", "cohorts", "message_bytes")),
        ("readers made, s", found["prepare_seconds"]),
        ("frozen, s", found["freeze_seconds"]),
        ("rendered, s", found["render_seconds"]),
        ("sent, min", f"{minutes:,.1f} at {found['messages_per_second']:,} a second"),
        ("killed", ", ".join(found["kills"]) or "nobody"),
        ("database restarted, Redis flushed", f"{found['restarts']}, {found['flushed']}"),
        ("lost", book["lost"]),
        ("copies too many, allowed", f"{book['copies']} of {found['copies_allowed']}"),
        ("copies with another Message-ID", book["foreign_copies"]),
        (
            "left by one click, sent after it",
            f"{found['pages']['left']}, {book['sent_after_leaving']}",
        ),
        ("confirmations", _waits(confirming)),
        ("recount of the ledger, s", book["recount_seconds"]),
        ("Redis at most, MiB", found["redis_peak_mib"]),
        ("bytes for each delivery", found["bytes_per_delivery"]),
        ("database, MiB", round(found["stored_bytes"]["database"] / 2**20)),
    ]
    if "commits" in found:
        rows.append(
            (
                "commits; of 1,000 longer than 50 ms, at most",
                f"{found['commits']:,}; {found['slow_in_a_thousand']}",
            )
        )
    rows += [(f"largest {part}, MiB", peak) for part, peak in found["peaks_mib"].items()]
    return report.table(["", "figure"], [[name, _shown(value)] for name, value in rows])


def _pages(found: dict[str, Any]) -> str:
    kinds = found["pages"]["by_kind"]
    rows = [[kind, _shown(each["number"]), *_times(each)] for kind, each in kinds.items()]
    return report.table(["page", "times", "p50, s", "p95, s", "max, s"], rows)


def _waits(found: dict[str, Any]) -> str:
    times = f"p50 {found['p50']} s, p95 {found['p95']} s, max {found['max']} s"
    return f"{found['number']}: {times}; unsent {found['unsent']}"


def _times(found: dict[str, Any]) -> list[str]:
    return [f"{found[name]:.2f}" for name in ("p50", "p95", "max")]


def _list(found: dict[str, Any], *names: str) -> str:
    return ", ".join(_shown(found[name]) for name in names)


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
