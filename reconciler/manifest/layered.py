"""Large mappings of which one commit changes little: a new version costs what changed, and no reader ever sees a change."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Generic, TypeVar, cast

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
W = TypeVar("W")
MOST = 1000
"""Changed entries above which they are merged into the rest, so that copying them for a new version stays cheap."""


class _Gone:
    """Stands for an entry that was removed."""


_GONE = _Gone()
_ABSENT = _Gone()


class Layered(Mapping[K, V]):
    """A mapping that never changes: many entries that it shares with other versions of itself, and a few of its own."""

    __slots__ = ("_base", "_size", "_top")

    def __init__(self, base: dict[K, V], top: dict[K, V | _Gone], size: int) -> None:
        self._base = base
        self._top = top
        self._size = size

    def __getitem__(self, key: K) -> V:
        found = self._top.get(key, _ABSENT)
        if found is _ABSENT:
            return self._base[key]
        if found is _GONE:
            raise KeyError(key)
        return cast("V", found)

    def get(self, key: K, default: W = None) -> V | W:  # type: ignore[assignment]
        """The value of a key, or ``default``."""
        found = self._top.get(key, _ABSENT)
        if found is _ABSENT:
            return self._base.get(key, default)
        return default if found is _GONE else cast("V", found)

    def __contains__(self, key: object) -> bool:
        found = self._top.get(cast("K", key), _ABSENT)
        return key in self._base if found is _ABSENT else found is not _GONE

    def __iter__(self) -> Iterator[K]:
        top = self._top
        yield from self._base if not top else (key for key in self._base if key not in top)
        yield from (key for key, value in top.items() if value is not _GONE)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return repr(dict(self))


class Ledger(Layered[K, V], Generic[K, V]):
    """The mapping that its one owner changes, and of which it publishes versions."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__({}, {}, 0)

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self:
            self._size += 1
        self._top[key] = value

    def insert(self, key: K, value: V) -> None:
        """Add a key that is not there: cheaper than finding that out."""
        self._size += 1
        self._top[key] = value

    def discard(self, key: K) -> None:
        """Remove a key that may be there."""
        if key in self:
            self._size -= 1
            if key in self._base:
                self._top[key] = _GONE
            else:
                del self._top[key]

    def published(self) -> Layered[K, V]:
        """The mapping as it is now."""
        if len(self._top) > MOST:
            self._merge()
        return Layered(self._base, dict(self._top), self._size)

    def _merge(self) -> None:
        base = dict(self._base)
        for key, value in self._top.items():
            if value is _GONE:
                base.pop(key, None)
            else:
                base[key] = cast("V", value)
        self._base, self._top = base, {}
