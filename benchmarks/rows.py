"""One line of the benchmark table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, how it came out, the figure to reach (empty for none), and whether it was."""

    what: str
    measured: str
    figure: str = ""
    reached: bool | None = None


def at_most(what: str, value: float, limit: float, unit: str, digits: int = 0) -> Row:
    """A value that has to stay at or below a limit."""
    return Row(what, f"{value:,.{digits}f} {unit}", f"≤ {limit:g} {unit}", value <= limit)


def render(rows: Sequence[Row]) -> str:
    """Aligned columns."""
    marks = {True: "reached", False: "MISSED", None: ""}
    lines = [(row.what, row.measured, row.figure, marks[row.reached]) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(4)]
    return "\n".join(
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * len(ordered) * 1000) // 1000) - 1))]
