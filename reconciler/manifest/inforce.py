"""What is in force for every key, and who names what: the result that linking changes and publishes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple, TypeVar

from reconciler.core.desired import DesiredState, Key, Tombstone
from reconciler.manifest.index import Index
from reconciler.manifest.layered import Layered, Ledger
from reconciler.manifest.records import Draft
from reconciler.manifest.snapshot import ProjectName, Version, project_of

V = TypeVar("V")
_environment = attrgetter("environment")


class Entry(NamedTuple):
    """What there is about one key."""

    desired: DesiredState | None = None
    problem: str = ""
    tombstone: Tombstone | None = None
    held: str = ""
    """The commit that removed its manifest, when it is in force nevertheless."""


class Marks(NamedTuple):
    """What a project names, in its documents or in force: ports with the key that claims them, and versions."""

    ports: list[tuple[int, Key]]
    versions: list[Version]

    def without(self, others: Marks) -> Marks:
        """Those that are not among others."""
        ports, versions = frozenset(others.ports), frozenset(others.versions)
        return Marks(
            [mark for mark in self.ports if mark not in ports],
            [version for version in self.versions if version not in versions],
        )


class InForce:
    """Desired states, problems and tombstones by key, with the indexes over them and over what documents ask for."""

    def __init__(self, repo: Callable[[str], str]) -> None:
        """``repo`` tells the config repo of a file."""
        self._repo = repo
        self._population: Counter[str] = Counter()
        self.desired: Ledger[Key, DesiredState] = Ledger()
        self.problems: Ledger[Key, str] = Ledger()
        self.tombstones: Ledger[Key, Tombstone] = Ledger()
        self.held: Ledger[Key, str] = Ledger()
        self.projects: Ledger[ProjectName, tuple[Key, ...]] = Ledger()
        self.wanted: Ledger[Version, bool] = Ledger()
        self.sources: Ledger[str, bool] = Ledger()
        self.ports: Index[int, Key] = Index()
        self.users: Index[Version, ProjectName] = Index()
        self.versions: Index[str, str] = Index()
        """Versions by source."""
        self.revisions: dict[Version, str | None] = {}
        """The commits that wanted versions name; None where nobody knows."""
        self.waiting: Ledger[ProjectName, frozenset[ProjectName]] = Ledger()
        self._waiting: dict[ProjectName, dict[ProjectName, bool]] = {}
        self.changed: set[Key] = set()

    def keys(self, project: ProjectName) -> tuple[Key, ...]:
        """The keys of a project that there is something about."""
        return self.projects.get(project, ())

    def states(self, project: ProjectName) -> Iterator[DesiredState]:
        """The desired states of a project that are in force."""
        for key in self.projects.get(project, ()):
            state = self.desired.get(key)
            if state is not None:
                yield state

    def marks(self, project: ProjectName, draft: Draft | None) -> Marks:
        """What a document of the project, and what is left of it in force, name."""
        marks = Marks([], [])
        for wish in draft.wishes if draft else ():
            _mark(marks, wish.desired)
        for key in self.keys(project):
            state, tombstone = self.desired.get(key), self.tombstones.get(key)
            if state is not None:
                _mark(marks, state)
            if tombstone is not None:  # nobody asks for its version any more
                marks.ports.extend((port, key) for port in ports(tombstone.desired))
        return marks

    def mark(self, project: ProjectName, marks: Marks) -> list[int]:
        """Note what a project names; returns the ports that others claim too."""
        contested = [port for port, key in marks.ports if self.ports.add(port, key) > 1]
        last = None
        for version in marks.versions:
            if version != last and self.users.add(version, project) == 1 and version not in self.wanted:
                self.wanted.insert(version, value=True)
                if self.versions.add(*version) == 1 and version[0] not in self.sources:
                    self.sources.insert(version[0], value=True)
            last = version
        return contested

    def unmark(self, project: ProjectName, marks: Marks) -> None:
        """Drop what a project does not name any more."""
        for port, key in marks.ports:
            self.ports.discard(port, key)
        for version in marks.versions:
            self.users.discard(version, project)
            if version not in self.users:
                self.wanted.discard(version)
                self.revisions.pop(version, None)
                self.versions.discard(*version)
                if version[0] not in self.versions:
                    self.sources.discard(version[0])

    def write(self, project: ProjectName, entries: Mapping[Key, Entry]) -> None:
        """Replace everything about a project."""
        old = self.keys(project)
        if not old:
            self._begin(project, entries)
            return
        before = {project_of(need) for state in self.states(project) for need in state.needs}
        self._settle(next(self.states(project), None), -1)
        for key in old:
            if key not in entries:
                self._put(key, Entry())
        for key, entry in entries.items():
            self._put(key, entry)
        if not entries:
            self.projects.discard(project)
        elif entries.keys() != set(old):
            self.projects[project] = _in_order(entries)
        self._wait(project, before, entries)

    def _begin(self, project: ProjectName, entries: Mapping[Key, Entry]) -> None:
        """The same for a project about which there was nothing: most of the work of a cold start."""
        for key, (desired, problem, tombstone, held) in entries.items():
            self.changed.add(key)
            if desired is not None:
                self.desired.insert(key, desired)
            if problem:
                self.problems.insert(key, problem)
            if tombstone is not None:
                self.tombstones.insert(key, tombstone)
            if held:
                self.held.insert(key, held)
        if entries:
            self.projects.insert(project, _in_order(entries))
            self._wait(project, set(), entries)

    def _wait(self, project: ProjectName, before: set[ProjectName], entries: Mapping[Key, Entry]) -> None:
        states = [entry.desired for entry in entries.values() if entry.desired is not None]
        self._settle(states[0] if states else None, 1)
        after = {project_of(need) for state in states for need in state.needs}
        for other in before ^ after:
            self._waiting.setdefault(other, {})[project] = other in after

    def _settle(self, state: DesiredState | None, count: int) -> None:
        if state is not None:
            self._population[self._repo(state.path)] += count

    def bury(self, key: Key) -> None:
        """Drop a tombstone."""
        self.tombstones.discard(key)
        self.changed.add(key)

    def home(self, project: ProjectName) -> str:
        """The config repo that a project in force comes from; empty for any other."""
        state = next(self.states(project), None)
        return self._repo(state.path) if state else ""

    def population(self, repo: str) -> int:
        """How many projects are in force, of one config repo; of all of them when it has no name."""
        return self._population[repo] if repo else self._population.total()

    def _put(self, key: Key, entry: Entry) -> None:
        changed = [
            _replace(self.desired, key, entry.desired),
            _replace(self.problems, key, entry.problem or None),
            _replace(self.tombstones, key, entry.tombstone),
        ]
        if entry.held:
            self.held[key] = entry.held
        else:
            self.held.discard(key)
        if any(changed):
            self.changed.add(key)

    def dependants(self) -> Layered[ProjectName, frozenset[ProjectName]]:
        """The projects that need, in force, each project."""
        for other, changes in self._waiting.items():
            before = self.waiting.get(other, frozenset())
            gone = {project for project, there in changes.items() if not there}
            after = (before - gone) | (changes.keys() - gone)
            if after:
                self.waiting[other] = frozenset(after)
            else:
                self.waiting.discard(other)
        self._waiting = {}
        return self.waiting.published()


def ports(state: DesiredState) -> tuple[int, ...]:
    """The ports that a desired state claims: one a component."""
    return (state.port, *(part.port for part in state.components)) if state.components else (state.port,)


def versions(state: DesiredState) -> Iterator[Version]:
    """Source and version of every component."""
    yield state.artifact.source, state.artifact.version
    for part in state.components:
        yield part.artifact.source, part.artifact.version


def _replace(ledger: Ledger[Key, V], key: Key, value: V | None) -> bool:
    """Whether it was another one before."""
    before = ledger.get(key)
    if value is None:
        ledger.discard(key)
        return before is not None
    if before is value or before == value:
        return False
    ledger[key] = value
    return True


def _mark(marks: Marks, state: DesiredState) -> None:
    marks.ports.append((state.port, state.key))
    marks.versions.append((state.artifact.source, state.artifact.version))
    for part in state.components:
        marks.ports.append((part.port, state.key))
        marks.versions.append((part.artifact.source, part.artifact.version))


def _in_order(keys: Iterable[Key]) -> tuple[Key, ...]:
    """Of one project."""
    return tuple(sorted(keys, key=_environment))
