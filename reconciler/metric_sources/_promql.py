"""One PromQL query for all that is wanted of a key, and its result as counters. Pure.

One query means one evaluation time: counters of different queries would not belong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.core.observed import Counters

PART = "prodsprint_part"
"""Label that tells the parts of the combined result apart."""
EXACT = 2**53
"""Up to here a float, which is all that Prometheus has, holds every whole number."""
Samples = dict[str, list[tuple[dict[str, str], str]]]


def combined(queries: Mapping[str, str]) -> str:
    """One query whose series carry the name of the query they come from."""
    # The line breaks end a comment that a query may end with.
    return " or ".join(f'label_replace((\n{text}\n), "{PART}", "{name}", "", "")' for name, text in queries.items())


def samples(answer: Any) -> Samples:
    """The series of a combined result, by part. Raises ValueError when it is not the answer to an instant query."""
    try:
        if answer["status"] != "success" or answer["data"]["resultType"] != "vector":
            raise ValueError("it is not the result of an instant query")
        found: Samples = {}
        for series in answer["data"]["result"]:
            labels = dict(series["metric"])
            found.setdefault(labels.pop(PART), []).append((labels, str(series["value"][1])))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError("it is not in the form of Prometheus' HTTP API") from error
    return found


def number(found: Samples, part: str) -> float | None:
    """The one value of a part; None when it has no series. Raises ValueError for more, and for NaN and infinity."""
    series = found.get(part, [])
    if len(series) > 1:
        raise ValueError(f"query {part} has {len(series)} series, expected one: put sum() around it")
    return _finite(part, series[0][1]) if series else None


def counters(found: Samples, side: str, epoch: str, milliseconds: float) -> Counters | None:
    """The counters of a side; None when it has no ``sent``. Raises ValueError for what no counter can be.

    ``milliseconds`` is how many of them are in one unit of the histogram's edges.
    """
    sent = _count(found, f"{side}.sent")
    if sent is None:
        return None
    answered, failed = (_count(found, f"{side}.{name}") for name in ("answered", "failed"))
    for name, value in (("answered", answered), ("failed", failed)):
        if value is None:
            raise ValueError(
                f"query {side}.{name} has no result though {side}.sent has; add `or vector(0)` if that means 0"
            )
    timed, buckets = _histogram(f"{side}.buckets", found.get(f"{side}.buckets", []), milliseconds)
    known = (answered or 0, failed or 0)
    return Counters(epoch, max(sent, *known), *known, timed, buckets)


def _finite(part: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"query {part} gives {text[:40]!r}, expected a number") from None
    if not math.isfinite(value):
        raise ValueError(f"query {part} gives {text}, expected a number")
    return value


def _whole(part: str, text: str) -> int:
    value = _finite(part, text)
    if value < 0 or value > EXACT or not value.is_integer():
        raise ValueError(f"query {part} gives {text[:40]}, expected a count: a whole number, not a rate")
    return int(value)


def _count(found: Samples, part: str) -> int | None:
    value = number(found, part)
    return None if value is None else _whole(part, repr(value))


def _histogram(
    part: str, series: Sequence[tuple[dict[str, str], str]], milliseconds: float
) -> tuple[int, tuple[tuple[float, int], ...]]:
    """The +Inf count, and (upper edge in ms, count) for the others."""
    if not series:
        return 0, ()
    try:
        rows = sorted((float(labels["le"]) * milliseconds, _whole(part, text)) for labels, text in series)
    except KeyError:
        raise ValueError(f"query {part} has series without the label le: put sum by (le) (...) around it") from None
    edges, counts = [edge for edge, _ in rows], [count for _, count in rows]
    if len(set(edges)) != len(edges):
        raise ValueError(f"query {part} has several series for one le: put sum by (le) (...) around it")
    if edges[-1] != math.inf or counts != sorted(counts):
        raise ValueError(f'query {part} is not a cumulative histogram with a bucket le="+Inf"')
    return counts[-1], tuple(rows[:-1])
