"""The log of ticks: a compact form, a buffer for those not on disk yet, and the rows.

Most of a tick is names: boot id, epochs, bucket edges. They stay the same for hundreds of ticks, and are stored once, as a
*shape*. What is left is a JSON array of numbers: histogram counts not cumulative but per bucket, which are small and
mostly zero, with the zeros at the end left out. Every row stands alone (it is no difference to the row before), so that
the newest few can be read, and old ones dropped, without the rest; and it is text that any tool can read.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from reconciler.core.desired import Instant
from reconciler.core.digest import sha256
from reconciler.core.observed import Counters, Reading, Tick
from reconciler.core.outcome import TerminalError
from reconciler.store.tables import shapes, ticks

Edges: TypeAlias = tuple[float, ...]
Side: TypeAlias = tuple[str, Edges] | None
Shape: TypeAlias = tuple[str, Side, Side]


class Row(NamedTuple):
    """A tick as it is written: ``shape`` is the text, ``named`` its id."""

    key: str
    attempt: int
    seq: int
    at: float
    named: str
    shape: str
    numbers: str


_NEWEST = (
    select(ticks.c.seq, ticks.c.shape, ticks.c.numbers)
    .where(ticks.c.key == bindparam("key"), ticks.c.attempt == bindparam("attempt"))
    .order_by(ticks.c.seq.desc())
    .limit(bindparam("limit"))
)
_SHAPES = select(shapes).where(shapes.c.id.in_(bindparam("ids", expanding=True)))


def pack(tick: Tick) -> tuple[str, str]:
    """The shape and the numbers of a tick, as text. Raises TerminalError for numbers that JSON does not have."""
    reading = tick.reading
    shape = [reading.at.boot, _names(reading.stable), _names(reading.canary)]
    numbers: list[object] = [tick.step, tick.weight, reading.at.wall, reading.at.mono]
    numbers += [_numbers(reading.stable), _numbers(reading.canary)]
    if reading.error:
        numbers.append(reading.error)
    try:
        return _text(shape), _text(numbers)
    except ValueError as error:
        raise TerminalError(f"tick {tick.seq} of attempt {tick.attempt} cannot be stored: {error}") from error


def unpack(attempt: int, seq: int, shape: Shape, numbers: str) -> Tick:
    """The tick that was packed. Raises TerminalError for damaged text."""
    boot, stable, canary = shape
    try:
        step, weight, wall, mono, *sides = json.loads(numbers)
        error = sides[2] if len(sides) > 2 else ""
        reading = Reading(Instant(wall, mono, boot), _counters(stable, sides[0]), _counters(canary, sides[1]), error)
    except (ValueError, TypeError, IndexError) as fault:
        raise TerminalError(f"tick {seq} of attempt {attempt} is damaged ({fault}). Restore a backup") from fault
    return Tick(attempt, seq, step, weight, reading)


def shape_of(text: str) -> Shape:
    """What a shape says: boot id, and the epoch and edges of both sides. Raises TerminalError for damaged text."""
    try:
        boot, stable, canary = json.loads(text)
        return boot, _side(stable), _side(canary)
    except (ValueError, TypeError, IndexError) as fault:
        raise TerminalError(f"the shape of ticks {text[:60]!r} is damaged ({fault}). Restore a backup") from fault


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _names(side: Counters | None) -> object:
    return None if side is None else [side.epoch, [edge for edge, _ in side.buckets]]


def _numbers(side: Counters | None) -> list[int] | None:
    if side is None:
        return None
    counts = [after - before for before, after in pairwise([0, *(count for _, count in side.buckets)])]
    while counts and counts[-1] == 0:
        counts.pop()
    return [side.sent, side.answered, side.failed, side.timed, *counts]


def _side(names: Any) -> Side:
    return None if names is None else (names[0], tuple(names[1]))


def _counters(side: Side, numbers: list[int] | None) -> Counters | None:
    if side is None or numbers is None:
        return None
    epoch, edges = side
    sent, answered, failed, timed, *counts = numbers
    counts += [0] * (len(edges) - len(counts))
    return Counters(epoch, sent, answered, failed, timed, tuple(zip(edges, accumulate(counts), strict=True)))


class TickBuffer:
    """Ticks that wait for the next group commit. Readers look here as well; a tick leaves only once it is on disk."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._waiting: dict[tuple[str, int], dict[int, tuple[Tick, Row]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: str, added: Iterable[Tick]) -> None:
        """Take ticks in; one that waits already is left as it is. Raises TerminalError for one that cannot be stored."""
        rows = [(tick, _row(key, tick)) for tick in added]
        with self._turn:
            for tick, row in rows:
                waiting = self._waiting.setdefault((key, tick.attempt), {})
                self._count += tick.seq not in waiting
                waiting.setdefault(tick.seq, (tick, row))

    def of(self, key: str, attempt: int) -> dict[int, Tick]:
        """The waiting ticks of an attempt, by ``seq``."""
        with self._turn:
            return {seq: tick for seq, (tick, _) in self._waiting.get((key, attempt), {}).items()}

    def rows(self) -> list[Row]:
        """What is to be written."""
        with self._turn:
            return [row for waiting in self._waiting.values() for _, row in waiting.values()]

    def written(self, rows: Iterable[Row]) -> None:
        """Forget what is on disk now."""
        with self._turn:
            for row in rows:
                waiting = self._waiting[row.key, row.attempt]
                del waiting[row.seq]
                self._count -= 1
                if not waiting:
                    del self._waiting[row.key, row.attempt]


def _row(key: str, tick: Tick) -> Row:
    shape, numbers = pack(tick)
    return Row(key, tick.attempt, tick.seq, tick.reading.at.wall, sha256(shape)[:16], shape, numbers)


def write(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert ticks and their shapes; those that are there already stay as they are."""
    kind = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    names = {row.named: {"id": row.named, "shape": row.shape} for row in rows}
    connection.execute(kind(shapes).on_conflict_do_nothing(), list(names.values()))
    plain = [
        {"key": r.key, "attempt": r.attempt, "seq": r.seq, "at": r.at, "shape": r.named, "numbers": r.numbers}
        for r in rows
    ]
    connection.execute(kind(ticks).on_conflict_do_nothing(), plain)


def newest(connection: Connection, key: str, attempt: int, limit: int) -> tuple[Tick, ...]:
    """The newest ticks of an attempt, newest first."""
    rows = connection.execute(_NEWEST, {"key": key, "attempt": attempt, "limit": limit}).all()
    names = {row.shape for row in rows}
    known = (
        {row.id: shape_of(row.shape) for row in connection.execute(_SHAPES, {"ids": sorted(names)})} if names else {}
    )
    return tuple(unpack(attempt, seq, known[named], numbers) for seq, named, numbers in rows)


def merge(stored: Iterable[Tick], waiting: Mapping[int, Tick], limit: int) -> tuple[Tick, ...]:
    """Stored and waiting ticks as one log, oldest first; what is stored came first, and wins."""
    log = {**waiting, **{tick.seq: tick for tick in stored}}
    return tuple(log[seq] for seq in sorted(log)[-limit:]) if limit > 0 else ()
