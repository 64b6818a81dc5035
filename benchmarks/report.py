"""Results as they are kept (JSON) and shown (a table)."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Rates = dict[str, list[float]]


def keep(path: Path, content: Mapping[str, Any]) -> None:
    """Write whole or not at all: an interrupted run leaves the last complete state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(content, indent=1) + "\n")
    draft.replace(path)


def kept(path: Path) -> dict[str, Any]:
    """What an earlier run kept; empty if none did."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown, with columns that line up in a terminal, too."""
    cells = [list(head), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def rates_table(
    rates: Rates, not_run: Mapping[str, str], references: Sequence[str], *, most: float | None
) -> str:
    """A row for each contender: median, ratio to each reference, and the spread.

    `most` is what the number of connections allows at the simulated round trip, in messages a
    second; None without one.
    """
    present = [name for name in references if name in rates]
    medians = {name: statistics.median(found) for name, found in rates.items()}
    head = ["", "messages/s", *[f"of {name}" for name in present]]
    head += ["of the most possible"] if most else []
    head += ["lowest - highest"]
    rows = []
    for name, found in rates.items():
        row = [name, f"{medians[name]:,.0f}"]
        row += [f"{medians[name] / medians[reference]:.2f}" for reference in present]
        row += [f"{medians[name] / most:.2f}"] if most else []
        rows.append([*row, f"{min(found):,.0f} - {max(found):,.0f}"])
    rows += [[name, f"not run: {why}", *[""] * (len(head) - 2)] for name, why in not_run.items()]
    return table(head, rows)
