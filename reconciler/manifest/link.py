"""Joins the manifest files of all config repos into what is in force, at the cost of what a change touches.

One bad thing blocks only itself: what has a problem keeps the last good form that it had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.core.desired import DesiredState, Key, Tombstone
from reconciler.manifest.inforce import Entry, ports
from reconciler.manifest.linkage import Linkage, Resolve
from reconciler.manifest.ownership import PROJECT, TARGET, WORKSPACE, policy
from reconciler.manifest.records import Draft, Identity
from reconciler.manifest.register import Changes
from reconciler.manifest.removal import Removals
from reconciler.manifest.snapshot import ProjectName, Snapshot, Usage, project_of
from reconciler.manifest.update import Update


@dataclass(frozen=True, slots=True)
class History:
    """What the files do not tell: what was in force before, as far as it is not in force because of them alone."""

    desired: Mapping[Key, DesiredState] = field(default_factory=dict)
    """Desired states in force: at least those that are kept or held."""
    since: Mapping[Key, str] = field(default_factory=dict)
    """The commit that each key in force began with."""
    tombstones: Mapping[Key, Tombstone] = field(default_factory=dict)
    held: Mapping[Key, str] = field(default_factory=dict)
    """Keys whose removal is held, and the commit that removed them."""
    documents: Iterable[Draft] = ()
    """Documents in force that are no projects: at least those that no file gives like that any more."""
    granted: Mapping[ProjectName, Usage] = field(default_factory=dict)
    """What projects may use in workspaces with quotas, where that is known."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> History:
        """What a snapshot leaves to the next one."""
        documents = tuple(snapshot.documents.values())
        tombstones = dict(snapshot.tombstones)
        return cls(dict(snapshot.desired), {}, tombstones, dict(snapshot.held), documents, dict(snapshot.granted))


class Linker:
    """Holds what all files say and what is in force. One thread at a time; the snapshots are for everybody."""

    def __init__(self, resolve: Resolve, repos: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """``repos`` has the workspaces that each config repo may speak for (none: all), by its name.

        All repos belong in it when there are several, and files are named ``NAME:path``; the only one has the name "".
        """
        self._link = Linkage(resolve, repos or {})
        self.snapshot = self._link.published("", frozenset())
        """The newest one."""

    # --- what changes ---

    def update(
        self, commit: str, changes: Changes, *, held: frozenset[ProjectName] = frozenset(), repo: str = ""
    ) -> Snapshot:
        """Link what a commit changed.

        ``held`` are all projects of the config repo ``repo`` whose removed keys stay in force, those that were held before
        included; without ``repo``, of all of them.
        """
        link, update = self._link, Update(self._link, commit)
        update.open((PROJECT, *project) for project in {*held, *link.held})
        others = {name: since for name, since in link.held.items() if repo and link.inforce.home(name) != repo}
        self._link_files(update, changes, others | {name: link.held.get(name, commit) for name in held})
        return self._published(update)

    def _link_files(self, update: Update, changes: Changes, held: dict[ProjectName, str]) -> None:
        update.apply(changes)
        self._link.held = held
        update.declare()
        update.judge()
        update.refer()
        update.limit()
        update.settle()
        update.amend()
        self._link.notes.refresh(changes, self._link.register.files)

    def resolved(self, source: str) -> Snapshot:
        """Look up the versions of a source again, and link what names other commits now."""
        update = Update(self._link, self.snapshot.commit)
        users = self._link.inforce.users
        moved = self._link.moved(source)
        update.open((PROJECT, *project) for version in moved for project in users[version])
        return self._settled(update)

    def forget(self, key: Key) -> Snapshot:
        """Drop the tombstone of a key that was retired: its ports are free."""
        inforce, update = self._link.inforce, Update(self._link, self.snapshot.commit)
        tombstone = inforce.tombstones.get(key)
        freed = ports(tombstone.desired) if tombstone else ()
        if tombstone is not None:
            update.open([(PROJECT, key.workspace, key.project)])
            inforce.bury(key)
        return self._settled(update, freed)

    def _settled(self, update: Update, freed: Iterable[int] = ()) -> Snapshot:
        update.settle(freed)
        self._link.notes.refresh((), self._link.register.files)
        return self._published(update)

    def _published(self, update: Update) -> Snapshot:
        self.snapshot = self._link.published(update.commit, frozenset(update.amended))
        return self.snapshot

    def restore(
        self, commit: str, files: Changes, history: History, *, held: Mapping[ProjectName, str] | None = None
    ) -> Snapshot:
        """Link all files after a restart. Once, before anything else; all keys count as changed.

        ``held`` are all projects whose removed keys stay in force, with the commit that removed them; those that ``history``
        has, when it is None.
        """
        link, update = self._link, Update(self._link, commit)
        for project, entries in _by_project(history).items():
            link.inforce.write(project, entries)
            link.inforce.mark(project, link.inforce.marks(project, None))
        for draft in history.documents:
            link.documents[draft.identity] = link.survivors[draft.identity] = draft
            if draft.kind == WORKSPACE:
                link.ownership.declare(draft.name, policy(draft))
        for project, granted in history.granted.items():
            link.quotas.grant(project, granted)
        update.open((PROJECT, *project) for project in {**link.inforce.projects, **history.granted})
        update.open(link.documents)
        link.since = history.since
        before = {project_of(key): since for key, since in history.held.items()}
        self._link_files(update, files, dict(before if held is None else held))
        link.since = {}
        link.inforce.changed.update(key for keys in link.inforce.projects.values() for key in keys)
        return self._published(update)

    # --- what would change ---

    def removals(self, changes: Changes, repo: str = "") -> Removals:
        """What no manifest would name any more with these changes, of one config repo (empty: of the only one, or of all).

        What is held is in it still. What is broken, lost, moved or renamed as a file is not. A document that does not count
        yet (for want of a project that it needs, say) is taken at its word now, not when it counts at last.
        """
        link = self._link
        gone: list[Key] = []
        whole: list[ProjectName] = []
        shrunk: list[ProjectName] = []
        named = _named(changes)
        for identity in sorted({*link.register.concerned(changes), *((PROJECT, *project) for project in link.held)}):
            if identity[0] != PROJECT:
                continue
            left = self._left(identity, changes, named.get(identity, ()))
            removed = [state.key for state in left if not repo or self._answers(repo, state.path, identity)]
            if removed:
                project = (identity[1], identity[2])
                gone += removed
                (whole if len(left) == sum(1 for _ in link.inforce.states(project)) else shrunk).append(project)
        before = link.inforce.population(repo)
        return Removals(tuple(sorted(gone)), tuple(whole), tuple(shrunk), before)

    def _answers(self, repo: str, path: str, identity: Identity) -> bool:
        """Whether a repo answers for what a file asked for: the file is its own, or is gone and the document is here now."""
        link = self._link
        if path in link.register.files or link.ownership.repo(path) == repo:
            return link.ownership.repo(path) == repo
        return any(link.ownership.repo(draft.place.file) == repo for draft in link.register.claims.get(identity, ()))

    def _left(self, identity: Identity, changes: Changes, fresh: Iterable[Draft]) -> list[DesiredState]:
        """The desired states in force that the documents of a name would not ask for any more."""
        link = self._link
        states = list(link.inforce.states((identity[1], identity[2])))
        drafts = [draft for draft in link.register.claims.get(identity, ()) if draft.place.file not in changes]
        drafts += fresh
        if not drafts:
            lost = any(self._lost(state.path, changes) for state in states)
            return [] if lost else states
        rightful = [draft for draft in drafts if not link.ownership.stray(draft)]
        if len(rightful) != 1 or rightful[0].problem:
            return []
        return [state for state in states if state.key not in rightful[0].keys]

    def _lost(self, path: str, changes: Changes) -> bool:
        file = changes[path] if path in changes else self._link.register.files.get(path)
        return file is not None and file.lost

    # --- what others ask ---

    def layer_drafts(self) -> tuple[Draft, ...]:
        """The Workspace and Target documents in force, sorted by their names."""
        kinds = (TARGET, WORKSPACE)
        return tuple(draft for name, draft in sorted(self._link.documents.items()) if name[0] in kinds)


def _by_project(history: History) -> dict[ProjectName, dict[Key, Entry]]:
    found: dict[ProjectName, dict[Key, Entry]] = defaultdict(dict)
    for key in {**history.desired, **history.tombstones}:
        entry = Entry(history.desired.get(key), "", history.tombstones.get(key), history.held.get(key, ""))
        found[project_of(key)][key] = entry
    return found


def _named(changes: Changes) -> dict[Identity, list[Draft]]:
    found: dict[Identity, list[Draft]] = defaultdict(list)
    for file in changes.values():
        for draft in file.drafts if file else ():
            found[draft.identity].append(draft)
    return found
