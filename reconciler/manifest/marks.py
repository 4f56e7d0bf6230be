"""Where the keys and values of a document stand.

Most documents are fine, and of a fine one a few positions are asked for. So the reader only keeps the parser's events, and
a position is worked out when somebody wants it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from yaml.events import ScalarEvent

Path = tuple[str | int, ...]
"""Where a value is within a document: keys and list indices from the root."""

Event = Any
"""An event of PyYAML, whose stubs doubt what is always there: marks, and the fields of each kind."""
Spots = dict[str, "Spot"] | list["Spot"]
"""What a mapping or a list holds: the spots of its values."""
Spot = tuple[Event, Event, "Spots | None"]
"""The events of a value's key (in a list: of the value again) and of the value, and what is inside of it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Positions (line and column from 1) of a value and of its key; in a list, ``key`` is the position of the item."""

    value: tuple[int, int]
    key: tuple[int, int]
    raw: str = ""
    """Source text of a plain scalar."""


def position(event: Event) -> tuple[int, int]:
    """Line and column of an event's start, from 1, in characters."""
    return event.start_mark.line + 1, event.start_mark.column + 1


class Marks(Mapping[Path, Mark]):
    """The marks of everything in a document, by path."""

    __slots__ = ("_root",)

    def __init__(self, root: Spot) -> None:
        self._root = root

    def __getitem__(self, path: Path) -> Mark:
        spot = self._root
        try:
            for step in path:
                spot = spot[2][step]  # type: ignore[index]  # what does not fit is not there
        except (TypeError, LookupError):
            raise KeyError(path) from None
        key, value, _ = spot
        raw = value.value if isinstance(value, ScalarEvent) and value.implicit[0] else ""
        return Mark(position(value), position(key), raw)

    def __iter__(self) -> Iterator[Path]:
        return _paths((), self._root)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _paths(path: Path, spot: Spot) -> Iterator[Path]:
    yield path
    inside = spot[2] or ()
    for step, inner in inside.items() if isinstance(inside, dict) else enumerate(inside):
        yield from _paths((*path, step), inner)
