"""The manifests of one commit, compiled: what is desired for every key, and what stands in the way of it.

One bad thing blocks only itself: a key whose manifest has a problem keeps the desired state it had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.core.desired import DesiredState, Key
from reconciler.manifest.draft import Draft, FileDraft, Wish, draft_file, refused_file
from reconciler.manifest.problem import Code, Place, Problem, printable, quoted

Resolve = Callable[[str, str], str | None]
"""Finds the full commit id of a version in a source; None when it is not known (yet)."""

ProjectName = tuple[str, str]
"""Workspace and name."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The compiled manifests of one config repo commit."""

    commit: str
    desired: Mapping[Key, DesiredState]
    problems: tuple[Problem, ...]
    """What is wrong with manifests, by file and line."""
    key_problems: Mapping[Key, str]
    """Why a key keeps the desired state it had, or has none."""
    wanted: frozenset[tuple[str, str]]
    """(source, version) of every environment: what has to be fetched."""
    files: Mapping[str, FileDraft]
    """What each file asks for; a file with the same blob is not read again by the next compilation."""

    def blobs(self) -> frozenset[str]:
        """Ids of blobs whose content the next compilation does not look at, where they are at the same path still."""
        return frozenset(file.blob for file in self.files.values() if file.blob)


def compile_snapshot(
    commit: str,
    files: Mapping[str, tuple[str, bytes]],
    resolve: Resolve,
    previous: Snapshot | None,
    refused: Mapping[str, str] | None = None,
) -> Snapshot:
    """Compile the manifests of a commit.

    ``files`` maps a path to its blob id and content; ``refused`` maps a path that could not be read to the reason. A desired
    state that differs from the previous one in nothing but the commit stays as it was: its commit is where it began.
    """
    found_files = dict(_drafts(files, previous))
    found_files |= {path: refused_file(path, "", reason) for path, reason in (refused or {}).items()}
    drafts = dict(sorted(found_files.items()))
    linker = _Linker(commit, previous.desired if previous else {}, drafts)
    linker.claim()
    linker.wish(resolve)
    linker.keep()
    linker.share_ports()
    found = [problem for file in drafts.values() for problem in file.problems] + linker.problems
    ordered = sorted(dict.fromkeys(found), key=lambda p: (p.place.file, p.place.line, p.place.column))
    desired = linker.result()
    wanted = {(state.artifact.source, state.artifact.version) for state in desired.values()}
    wanted |= {(wish.desired.artifact.source, wish.desired.artifact.version) for wish in _wishes(drafts)}
    return Snapshot(commit, desired, tuple(ordered), linker.trouble, frozenset(wanted), drafts)


def _drafts(files: Mapping[str, tuple[str, bytes]], previous: Snapshot | None) -> Iterator[tuple[str, FileDraft]]:
    known = previous.files if previous else {}
    for path, (blob, content) in files.items():
        before = known.get(path)
        yield path, before if before and before.blob == blob else draft_file(path, blob, content)


def _wishes(files: Mapping[str, FileDraft]) -> Iterator[Wish]:
    for file in files.values():
        for draft in file.drafts:
            yield from draft.wishes


@dataclass(slots=True)
class _Linker:
    """Joins the drafts of all files. The methods run once each, in the order in which they stand here."""

    commit: str
    before: Mapping[Key, DesiredState]
    files: Mapping[str, FileDraft]
    wishes: dict[Key, Wish] = field(default_factory=dict)
    desired: dict[Key, DesiredState] = field(default_factory=dict)
    trouble: dict[Key, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    disputed: set[ProjectName] = field(default_factory=set)

    def claim(self) -> None:
        """Find projects that several documents claim."""
        claims: dict[ProjectName, list[Place]] = defaultdict(list)
        held = self._held() if any(file.lost for file in self.files.values()) else {}
        for path, file in self.files.items():
            for draft in file.drafts:
                claims[draft.project].append(draft.place)
            if file.lost:  # what it held before may be in it still
                own = {draft.project for draft in file.drafts}
                for project in sorted(held.get(path, set()) - own):
                    claims[project].append(Place(path))
        for project, places in claims.items():
            if len(places) > 1:
                self.disputed.add(project)
                self._dispute(project, places)

    def _held(self) -> Mapping[str, set[ProjectName]]:
        held: dict[str, set[ProjectName]] = defaultdict(set)
        for key, state in self.before.items():
            held[state.path].add((key.workspace, key.project))
        return held

    def _dispute(self, project: ProjectName, places: list[Place]) -> None:
        for index, place in enumerate(places):
            other = places[0] if index else places[1]
            found = f"the project {quoted(project[1])} of the workspace {quoted(project[0])} is also in {other}"
            self.problems.append(Problem(place, Code.DUPLICATE_NAME, found, "Rename or remove one of them"))

    def wish(self, resolve: Resolve) -> None:
        """Take what sound documents ask for, at the commits that their versions name."""
        known: dict[tuple[str, str], str | None] = {}
        for file in self.files.values():
            for draft in file.drafts:
                if draft.problem or draft.project in self.disputed:
                    self.trouble |= dict.fromkeys(draft.keys, draft.problem or self._disputed(draft))
                    continue
                for wish in draft.wishes:
                    self._wish(wish, resolve, known)

    def _disputed(self, draft: Draft) -> str:
        return next(str(problem) for problem in self.problems if problem.place == draft.place)

    def _wish(self, wish: Wish, resolve: Resolve, known: dict[tuple[str, str], str | None]) -> None:
        state = wish.desired
        source, version = asked = (state.artifact.source, state.artifact.version)
        if asked not in known:
            known[asked] = resolve(source, version)
        revision = known[asked]
        if revision is None:
            words = (
                f"revision '{version}' not found in {printable(source)}: push it or correct `version` ({wish.version})"
            )
            self.trouble[state.key] = words
            return
        state = replace(state, artifact=replace(state.artifact, revision=revision), commit=self.commit)
        before = self.before.get(state.key)
        same = before is not None and replace(before, commit=self.commit) == state
        self.wishes[state.key] = wish
        self.desired[state.key] = before if same and before is not None else state

    def keep(self) -> None:
        """Keep what broken files and documents held before, and nobody asks for now."""
        for key, state in self.before.items():
            file = self.files.get(state.path)
            if file is None or key in self.desired or key in self.trouble or not file.problems:
                continue
            project = (key.workspace, key.project)
            mine = [draft for draft in file.drafts if draft.project == project]
            if any(draft.problem for draft in mine) or (file.lost and not mine):
                self.trouble[key] = next((draft.problem for draft in mine if draft.problem), str(file.problems[0]))

    def share_ports(self) -> None:
        """Refuse ports that two keys claim. What is kept for that reason may claim its old port, so look again."""
        while clashes := dict(self._clashes()):
            for key, problem in clashes.items():
                self.problems.append(problem)
                self.trouble[key] = str(problem)
                del self.desired[key]

    def _clashes(self) -> Iterator[tuple[Key, Problem]]:
        claims: dict[int, list[Key]] = defaultdict(list)
        for key, state in sorted(self.result().items()):
            claims[state.port].append(key)
        for port, keys in claims.items():
            for key in keys if len(keys) > 1 else ():
                if key in self.desired:
                    other = keys[0] if key != keys[0] else keys[1]
                    yield key, self._clash(port, key, other)

    def _clash(self, port: int, key: Key, other: Key) -> Problem:
        if other in self.desired:
            where = str(self.wishes[other].port)
        else:
            where = f"{Place(self.before[other].path)}, as it was before its manifest had a problem"
        found = f"port {port} belongs to {other} too, in {where}"
        return Problem(self.wishes[key].port, Code.DUPLICATE_PORT, found, "Choose another port")

    def result(self) -> dict[Key, DesiredState]:
        """What is desired now: what is asked for, and what is kept."""
        kept = {key: self.before[key] for key in self.trouble if key in self.before}
        return {**kept, **self.desired}
