"""Order as a graph: what has to come before what, and the paths on which it comes back to itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Generic, TypeVar

from reconciler.manifest.problem import Code, Place, Problem, meant, quoted
from reconciler.manifest.records import Draft, Wish

N = TypeVar("N", bound=str | tuple[str, str])
MOST_SHOWN = 12
"""Names on a path that a message shows."""
MOST_TRIED = 200
"""Nodes looked at for a path of a node's own, where the first path found does not lead through it."""


def knots(starts: Iterable[N], edges: Callable[[N], Collection[N]]) -> list[list[N]]:
    """The strongly connected components of more than one node that can be reached from ``starts``."""
    search = _Search(edges)
    for start in starts:
        if start not in search.number:
            search.run(start)
    return search.found


@dataclass(slots=True)
class _Search(Generic[N]):
    """Tarjan's algorithm, without recursion."""

    edges: Callable[[N], Collection[N]]
    found: list[list[N]] = field(default_factory=list)
    number: dict[N, int] = field(default_factory=dict)
    low: dict[N, int] = field(default_factory=dict)
    open: dict[N, None] = field(default_factory=dict)
    work: list[tuple[N, Iterator[N]]] = field(default_factory=list)

    def run(self, start: N) -> None:
        self._enter(start)
        while self.work:
            node, rest = self.work[-1]
            following = next(rest, None)
            if following is None:
                self._leave(node)
            elif following not in self.number:
                self._enter(following)
            elif following in self.open:
                self.low[node] = min(self.low[node], self.number[following])

    def _enter(self, node: N) -> None:
        self.number[node] = self.low[node] = len(self.number)
        self.open[node] = None
        self.work.append((node, iter(self.edges(node))))

    def _leave(self, node: N) -> None:
        self.work.pop()
        if self.work:
            above = self.work[-1][0]
            self.low[above] = min(self.low[above], self.low[node])
        if self.low[node] == self.number[node]:
            members = []
            while node in self.open:
                members.append(self.open.popitem()[0])
            if len(members) > 1:
                self.found.append(members)


@dataclass(frozen=True, slots=True)
class Round(Generic[N]):
    """A path from a node back to it: ``a, b, a``. Of a long one, the ``left_out`` nodes in its middle are not there."""

    nodes: tuple[N, ...]
    left_out: int = 0

    def shown(self, write: Callable[[N], str]) -> str:
        """As a message shows it: ``a -> b -> a``."""
        names = [write(node) for node in self.nodes]
        if self.left_out:
            names.insert(len(names) // 2, f"({self.left_out} more)")
        return " -> ".join(names)


def loops(members: Iterable[N], edges: Mapping[N, Collection[N]]) -> dict[N, Round[N]]:
    """For every node of a knot a path from it back to it. The same for the same knot, whoever asks."""
    found: dict[N, Round[N]] = {}
    shared: list[N] = []
    for member in sorted(members):
        if member in found:
            continue
        ring = _loop(member, edges, MOST_TRIED if shared else len(edges) + 1)
        shared = shared or ring
        for index, node in enumerate(ring):
            found.setdefault(node, _turned(ring, index))
        found.setdefault(member, _turned(shared, 0))
    return found


def _turned(ring: list[N], index: int) -> Round[N]:
    """The round that begins and ends at one of its nodes."""
    size = len(ring)
    steps = range(size + 1)
    left_out = max(0, len(steps) - MOST_SHOWN)
    kept = [*steps[: MOST_SHOWN // 2], *steps[-(MOST_SHOWN // 2) :]] if left_out else steps
    return Round(tuple(ring[(index + step) % size] for step in kept), left_out)


def _loop(start: N, edges: Mapping[N, Collection[N]], most: int) -> list[N]:
    """The nodes of the shortest path from ``start`` back to it; empty when ``most`` nodes do not lead to one."""
    came: dict[N, N] = {}
    queue = deque([start])
    while queue and len(came) <= most:
        node = queue.popleft()
        following = edges.get(node, ())
        if start in following:
            path = [node]
            while path[-1] != start:
                path.append(came[path[-1]])
            return path[::-1]
        for other in sorted(following):
            if other not in came:
                came[other] = node
                queue.append(other)
    return []


def order_problems(draft: Draft) -> list[Problem]:
    """What is wrong with the order of a project's own environments (``after``)."""
    if not any(wish.after for wish in draft.wishes):
        return []  # one after the other
    wishes = {wish.desired.key.environment: wish for wish in draft.wishes}
    problems = [problem for wish in draft.wishes for problem in _unordered(draft, wish, wishes)]
    if problems:
        return problems
    edges = {name: wish.desired.after for name, wish in wishes.items()}
    for knot in knots(wishes, lambda name: edges[name]):
        inside = {name: [other for other in edges[name] if other in knot] for name in knot}
        for name, path in sorted(loops(knot, inside).items(), key=itemgetter(0)):
            found = f"`after`: environments wait for each other: {path.shown(str)}"
            place = _written(draft, wishes[name], path.nodes[1])
            problems.append(Problem(place, Code.CYCLE, found, "Remove one of these `after`"))
    return problems


def _unordered(draft: Draft, wish: Wish, wishes: Mapping[str, Wish]) -> Iterator[Problem]:
    own = wish.desired.key.environment
    for name in wish.desired.after:
        place = _written(draft, wish, name)
        if name == own:
            found = f"`after`: {quoted(own)} cannot wait for itself"
            yield Problem(place, Code.SELF_REFERENCE, found, "Name another environment, or `none`")
        elif name not in wishes:
            found = f"`after`: there is no environment {quoted(name)} in this project"
            yield Problem(place, Code.UNKNOWN_ENVIRONMENT, found, meant(name, {*wishes, "none"} - {own}))


def _written(draft: Draft, wish: Wish, name: str) -> Place:
    named = wish.desired.after
    return wish.after[named.index(name)] if name in named and len(wish.after) == len(named) else draft.place
