"""What a commit means: how what is in force after it differs from what was before, in the product's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain

from reconciler.core.components import parts, version_of
from reconciler.core.desired import DesiredState, Key, OnDelete
from reconciler.core.digest import release_digest
from reconciler.manifest.difference import Detail, differences, weights
from reconciler.manifest.documents_difference import document_changes
from reconciler.manifest.layers import TARGET, WORKSPACE
from reconciler.manifest.problem import Code, Problem
from reconciler.manifest.prospect import Held
from reconciler.manifest.records import Identity
from reconciler.manifest.snapshot import Snapshot

Version = tuple[str, str]
REMOVED = {
    OnDelete.KEEP: "removed; it goes on serving what it serves, and nothing new is released to it (onDelete: keep)",
    OnDelete.DESTROY: "destroyed, since it is removed: its traffic goes, then its instances (onDelete: destroy)",
}


class Action(StrEnum):
    """What happens to a key or a document."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    DESTROYED = "destroyed"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one key (``WORKSPACE/PROJECT/ENVIRONMENT``) or document (``Waiver WORKSPACE/NAME``)."""

    subject: str
    action: Action
    message: str
    details: tuple[Detail, ...] = ()
    release: bool = False
    """Whether there is a new release."""
    cause: str = ""
    """The document with defaults that does it, when it is not the manifest itself."""
    reach: tuple[str, ...] = ()
    """Of such a document: the keys that it changes."""
    files: tuple[str, ...] = ()
    """The files that it is written in, before and after."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """``documents`` and ``keys`` are sorted by their subject."""

    keys: tuple[Change, ...]
    documents: tuple[Change, ...]
    brought: tuple[Problem, ...]
    """Problems that the commit brings."""
    mended: tuple[Problem, ...]
    held: Held | None
    kept: tuple[str, ...] = ()
    """Keys that keep their last good form, or wait for one, because of problems that the commit brings."""
    approved: Mapping[str, OnDelete] = field(default_factory=dict)
    """Keys whose held removal it lets happen, and what becomes of them; those aside that it removes by itself."""

    @property
    def nothing(self) -> bool:
        """Whether the commit means nothing."""
        return not (self.keys or self.documents or self.brought or self.mended)


def changed_keys(before: Snapshot, after: Snapshot) -> list[Key]:
    """Keys of which git asks for something else, sorted. In proportion to all keys: a look at each."""
    keys = (
        key
        for key in {*before.desired, *after.desired, *after.held}
        if key in after.held or _settings(before.desired.get(key)) != _settings(after.desired.get(key))
    )
    return sorted(keys)


def _settings(state: DesiredState | None) -> DesiredState | None:
    return replace(state, commit="", path="") if state else None


def versions(before: Snapshot, after: Snapshot) -> set[Version]:
    """Sources and versions of changed keys whose commits tell more than their names."""
    found: set[Version] = set()
    for key in changed_keys(before, after):
        one, two = (_versions(snapshot.desired.get(key)) for snapshot in (before, after))
        found |= one ^ two if one and two else two
    return found


def _versions(state: DesiredState | None) -> set[Version]:
    return {(part.artifact.source, part.artifact.version) for part in parts(state)} if state else set()


def located(state: DesiredState, commits: Mapping[Version, str]) -> DesiredState:
    """A desired state with the commits of its versions, as far as they are known."""
    first, *others = (
        replace(
            part.artifact,
            revision=commits.get((part.artifact.source, part.artifact.version), part.artifact.revision),
        )
        for part in parts(state)
    )
    rest = tuple(replace(part, artifact=found) for part, found in zip(state.components, others, strict=True))
    return replace(state, artifact=first, components=rest)


def meaning(before: Snapshot, after: Snapshot, commits: Mapping[Version, str], held: Held | None = None) -> Meaning:
    """What happens between two snapshots. ``commits``: those of versions that have been looked up."""
    documents = document_changes(before.documents, after.documents)
    defaults = {identity for identity in documents if identity[0] in {WORKSPACE, TARGET}}
    teller = _Teller(before, after, commits, defaults)
    keys = tuple(filter(None, map(teller.tell, changed_keys(before, after))))
    brought, mended = _problems(before, after), _problems(after, before)
    return Meaning(
        keys,
        tuple(_document(teller, identity, found) for identity, found in sorted(documents.items())),
        brought,
        mended,
        held,
        tuple(str(key) for key in sorted({*after.key_problems} - {*before.key_problems, *after.held})),
    )


def _document(teller: _Teller, identity: Identity, found: tuple[str, str, tuple[Detail, ...]]) -> Change:
    action, message, details = found
    kind, workspace, name = identity
    subject = f"{kind} {name}" if kind == WORKSPACE else f"{kind} {workspace}/{name}"
    drafts = (snapshot.documents.get(identity) for snapshot in (teller.before, teller.after))
    files = tuple(dict.fromkeys(draft.place.file for draft in drafts if draft))
    reach = tuple(teller.reach.get(identity, ()))
    return Change(subject, Action(action), message, details, reach=reach, files=files)


@dataclass(slots=True)
class _Teller:
    before: Snapshot
    after: Snapshot
    commits: Mapping[Version, str]
    defaults: set[Identity]
    """The documents that give others defaults, and have changed."""
    reach: dict[Identity, list[str]] = field(default_factory=dict)

    def tell(self, key: Key) -> Change | None:
        """What happens to a key; None when nothing does after all."""
        old, new = (snapshot.desired.get(key) for snapshot in (self.before, self.after))
        found = self._told(key, old, new)
        return (
            replace(found, files=tuple(dict.fromkeys(state.path for state in (old, new) if state))) if found else None
        )

    def _told(self, key: Key, old: DesiredState | None, new: DesiredState | None) -> Change | None:
        if key in self.after.held:
            return Change(str(key), Action.HELD, "its removal is held until it is approved; it stays in force")
        if old is None:
            return self._added(key, located(new, self.commits)) if new else None
        if new is None:
            action = Action.DESTROYED if old.on_delete is OnDelete.DESTROY else Action.REMOVED
            return Change(str(key), action, REMOVED[old.on_delete])
        return self._changed(key, located(old, self.commits), located(new, self.commits))

    def _added(self, key: Key, new: DesiredState) -> Change:
        broken = key in self.before.key_problems
        first = not self.before.projects.get((key.workspace, key.project))
        what = "its manifest was broken before" if broken else "new project" if first else "new environment"
        instances = sum(part.instances for part in parts(new))
        ports = ", ".join(str(part.port) for part in parts(new))
        words = f"{what}: {version_of(new)}, {instances} instance{'s' if instances != 1 else ''}, port {ports}"
        return Change(str(key), Action.ADDED, words, release=True)

    def _changed(self, key: Key, old: DesiredState, new: DesiredState) -> Change | None:
        details = differences(old, new, frozenset(self.commits.values()))
        release = release_digest(old) != release_digest(new)
        if not details:
            return None
        words = f"a new release by {weights(new.strategy)}" if release else "no new release"
        return Change(str(key), Action.CHANGED, words, details, release, self._cause(key, old.path, new.path))

    def _cause(self, key: Key, old: str, new: str) -> str:
        """Which documents around the manifest do it: said where the manifest is what it was."""
        files = (self.before.files.get(old), self.after.files.get(new))
        if not self.defaults or files[0] is None or files[1] is None or files[0].blob != files[1].blob:
            return ""
        drafts = [draft for draft in files[1].drafts if key in draft.keys]
        used = {name for draft in drafts for name in draft.uses}
        mine = [
            one
            for one in sorted(self.defaults)
            if one == (WORKSPACE, key.workspace, key.workspace) or (one[0] == TARGET and one[2] in used)
        ]
        for identity in mine:
            self.reach.setdefault(identity, []).append(str(key))
        return ", ".join(f"{kind} {name}" for kind, _, name in mine)


def _problems(before: Snapshot, after: Snapshot) -> tuple[Problem, ...]:
    """The problems that there are after and were not before, whatever became of the names and lines of files."""
    known = set(chain.from_iterable(_names(before, problem) for problem in before.problems))
    found = (problem for problem in after.problems if problem.code is not Code.REMOVAL_HELD)  # which is told by itself
    return tuple(problem for problem in found if known.isdisjoint(_names(after, problem)))


def _names(snapshot: Snapshot, problem: Problem) -> Iterator[tuple[object, ...]]:
    """By what a problem is known: in a file that is edited, and in one that is renamed."""
    place = problem.place
    yield place.file, problem.code, problem.message
    file = snapshot.files.get(place.file)
    if file is not None and file.blob:
        yield file.blob, place.line, place.column, problem.code
