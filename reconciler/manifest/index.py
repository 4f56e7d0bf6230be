"""Which of many name one thing: ports and their keys, sources and their projects."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class Index(Generic[K, V]):
    """Sets by what their members share; a set that gets empty is dropped."""

    __slots__ = ("_sets",)

    def __init__(self) -> None:
        self._sets: dict[K, set[V]] = {}

    def __getitem__(self, shared: K) -> AbstractSet[V]:
        found = self._sets.get(shared)
        return frozenset() if found is None else found

    def __contains__(self, shared: K) -> bool:
        return shared in self._sets

    def __iter__(self) -> Iterator[K]:
        return iter(self._sets)

    def add(self, shared: K, member: V) -> int:
        """Add a member, which may be there; returns how many there are now."""
        found = self._sets.get(shared)
        if found is None:
            self._sets[shared] = {member}
            return 1
        found.add(member)
        return len(found)

    def discard(self, shared: K, member: V) -> None:
        """Remove a member that may be there."""
        found = self._sets.get(shared)
        if found is not None:
            found.discard(member)
            if not found:
                del self._sets[shared]
