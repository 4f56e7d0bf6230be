"""Turns the changed files of a config repo into desired states: drafted, budgeted, linked, and remembered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.config_repos import ConfigRepo
from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.drafts import Drafts, refused, uncollected
from reconciler.follower import Follower, Step, identity
from reconciler.manifest.budget import approving, over_budget
from reconciler.manifest.draft import refused_file
from reconciler.manifest.layers import TARGET, WORKSPACE, Layers
from reconciler.manifest.link import Linker
from reconciler.manifest.records import Draft, FileDraft
from reconciler.manifest.removal import digest
from reconciler.manifest.snapshot import ProjectName, Snapshot
from reconciler.memory import Applied, KnownFile, Remembered, Survivor
from reconciler.recollection import Pending, adopted, history, memo, orphaned, project_of, survived, survivor

UNFOLLOWED = "is in no config repo that is followed now"
"""Why a file is kept in mind that no repo gives: what it held stays in force until a repo says that it has to go."""


@dataclass(slots=True)
class Compiler:
    """Holds the linked manifests of all config repos. Not for several threads at the same time."""

    drafts: Drafts
    repos: tuple[ConfigRepo, ...]
    unread: dict[str, str] = field(default_factory=dict)
    """Why a mirror could not be read when a version was looked up, by URL."""
    files: dict[str, KnownFile] = field(default_factory=dict)
    linker: Linker = field(init=False)
    pending: Pending = field(default_factory=Pending)
    changed: set[Key] = field(default_factory=set)
    """Keys that ask for something else than what ``take`` told last."""
    gone: frozenset[str] = frozenset()
    """Repos that are remembered and not followed any more, under that name."""
    lost: set[str] = field(default_factory=set)
    """Config repos whose files could not be read again: their next step has to bring all of them."""
    unsettled: bool = False
    """Whether the defaults in force are not those that everything was drafted with."""
    survivors: set[str] = field(default_factory=set)
    """Documents that are remembered as having outlived their files."""
    unresolved: set[str] = field(default_factory=set)
    versions: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """The commits of versions that were looked up, by source: good until its mirror is fetched again."""

    def __post_init__(self) -> None:
        self.linker = Linker(self._resolve, {self._named(repo): repo.workspaces for repo in self.repos})

    @property
    def snapshot(self) -> Snapshot:
        """What is linked now."""
        return self.linker.snapshot

    # --- one step of one config repo ---

    def apply(self, follower: Follower, step: Step) -> None:
        """Link what a step of a config repo changes. Raises TransientError when the mirror cannot be read."""
        files = self._changed_files(follower, step)
        name = self._named(follower.repo)
        before = self._held(name)
        with uncollected(len(files)):
            drafts = self.drafts.of(files)
            removals = self.linker.removals(drafts, name)
            held = over_budget(removals, frozenset(map(project_of, before)), follower.repo.removals.allows)
            self._note(self.linker.update(step.commit, drafts, held=held, repo=name))
        self._keep(files)
        self.applied(follower, step)
        approved = self._approved(follower, before, drafts)
        if approved & held:
            self._note(self.linker.update(step.commit, {}, held=held - approved, repo=name))
        elif held - frozenset(map(project_of, before)):
            follower.note_removals(step.commit, removals, held)
        self.settle()

    def applied(self, follower: Follower, step: Step) -> None:
        """Remember that a step has been taken."""
        follower.note_applied(step)
        follower.applied = Applied(follower.identity, step.commit, step.signer, self._named(follower.repo))
        follower.whole = False
        self.pending.applied[follower.identity] = follower.applied

    def take(self) -> frozenset[Key]:
        """The keys that ask for something else than at the last call."""
        changed, self.changed = frozenset(self.changed), set()
        return changed

    def _note(self, snapshot: Snapshot) -> None:
        """Whatever goes wrong after this: what has changed is told, and remembered."""
        self.changed |= snapshot.changed
        self.pending.keys |= snapshot.changed
        self.unsettled |= any(identity[0] in {WORKSPACE, TARGET} for identity in snapshot.amended)

    def _keep(self, files: Mapping[str, KnownFile | None]) -> None:
        for path, file in files.items():
            self.pending.files[path] = file
            if file is None:
                self.files.pop(path, None)
            else:
                self.files[path] = file

    def _changed_files(self, follower: Follower, step: Step) -> dict[str, KnownFile | None]:
        """Path to what is there now, None for what is gone. What a folder held that cannot be read is there, unread."""
        found: dict[str, KnownFile | None] = {}
        mine = {path for path, file in self.files.items() if file.repo == follower.identity} if not step.before else ()
        found.update(dict.fromkeys(mine))
        for change in step.changes:
            path = self.path_of(follower.repo, change.path)
            gone = not change.blob and not change.why
            found[path] = None if gone else KnownFile(follower.identity, path, change.blob, change.why)
            known = self.files.get(path)
            if gone and known is not None and known.why:  # a folder that can be read again, perhaps
                found = dict.fromkeys(self._below(path)) | found
        for path, file in list(found.items()):
            if file is not None and file.why:
                found |= self._inside(path, file.why, found)
        return found

    def _inside(self, folder: str, why: str, found: Mapping[str, KnownFile | None]) -> dict[str, KnownFile | None]:
        """What a folder held before that cannot be read now."""
        old = {path: self.files[path] for path in self._below(folder) if found.get(path) is None}
        return {path: KnownFile(file.repo, path, "", why) for path, file in old.items()}

    def _below(self, folder: str) -> list[str]:
        below = f"{folder}/" if folder and not folder.endswith(":") else folder
        return [path for path in self.files if path.startswith(below)]

    def path_of(self, repo: ConfigRepo, path: str) -> str:
        """A file's path, as problems and people name it."""
        name = self._named(repo)
        return f"{name}:{path}" if name else path

    def _named(self, repo: ConfigRepo) -> str:
        """What tells a repo from others; empty for the only one."""
        return repo.name if len(self.repos) > 1 else ""

    def settle(self) -> None:
        """Draft again what was drafted with other defaults than are in force now. Raises TransientError: call it again."""
        if not self.unsettled:
            return
        layers = self.drafts.layers = Layers.of(self.linker.layer_drafts())
        stale = (path for path, file in self.snapshot.files.items() if not layers.fit(file))
        files = [file for path in stale if (file := self.files.get(path)) is not None and file.blob]
        drafts = self.drafts.fresh(files)
        held = frozenset(map(project_of, self.snapshot.held))
        self.unsettled = False
        if drafts:
            self._note(self.linker.update(self.snapshot.commit, drafts, held=held))

    # --- removals ---

    def _held(self, name: str) -> frozenset[Key]:
        """The keys of a repo whose removal is held."""
        states = ((key, self.snapshot.desired.get(key)) for key in self.snapshot.held)
        return frozenset(key for key, state in states if state and (not name or state.path.startswith(f"{name}:")))

    def _approved(
        self, follower: Follower, before: frozenset[Key], drafts: Mapping[str, FileDraft | None]
    ) -> frozenset[ProjectName]:
        """The projects whose removal was held before, and is approved by a document that came with this step.

        An approval works once, when it comes; it has to be lawful where it stands, and of the project's own workspace.
        """
        if not before:
            return frozenset()
        new = (draft for draft in self.snapshot.documents.values() if drafts.get(draft.place.file) is not None)
        found = approving(digest(before), new, follower.clock.now().wall)
        if found:
            follower.note_approval(sorted(str(draft.place) for draft in found), sorted(before))
        workspaces = {draft.workspace for draft in found}
        return frozenset(project_of(key) for key in before if key.workspace in workspaces)

    # --- versions ---

    def resolve_again(self, sources: Iterable[str]) -> None:
        """Look up the versions of these sources again."""
        for source in sources:
            known = self.versions.get(source, {})
            self.unread.pop(source, None)
            wanted = [name for name in known if (source, name) in self.snapshot.wanted]
            fresh = {name: self._look_up(source, name, known[name]) for name in wanted}
            self.versions[source] = fresh
            if any(fresh[name] != known[name] for name in fresh):
                self._note(self.linker.resolved(source))

    def _resolve(self, source: str, version: str) -> str | None:
        known = self.versions.setdefault(source, {})
        if version not in known:
            known[version] = self._look_up(source, version, None)
        return known[version]

    def _look_up(self, source: str, version: str, known: str | None) -> str | None:
        """The commit of a version; what is ``known`` while the mirror cannot be read."""
        try:
            found = self.drafts.mirrors.resolve(source, version)
        except (TransientError, TerminalError) as error:
            self.unread[source] = str(error)
            self.unresolved.add(source)
            return known
        if found is None:
            self.unresolved.add(source)
        if found != known:
            self.pending.versions[source, version] = found
        return found

    def forget(self, key: Key) -> None:
        """Drop the tombstone of a key that has been retired."""
        if key in self.snapshot.tombstones:
            self._note(self.linker.forget(key))

    def missing(self) -> Iterator[str]:
        """Service repos that hold no commit yet for a version that was asked for since the last time."""
        yield from self.unresolved
        self.unresolved.clear()

    # --- between two daemons ---

    def remember(self) -> None:
        """Write down what has changed since the last time. Raises TransientError or TerminalError."""
        pending, self.pending = self.pending, Pending()
        pending.records, self.drafts.records = self.drafts.records, {}
        if not (pending.applied or pending.keys or pending.records or pending.versions):
            return
        try:
            self.drafts.memory.save(self.drafts.language, memo(pending, self.snapshot, self._survivors()))
            if self.gone:
                self.drafts.memory.drop(self.gone)
                self.gone = frozenset()
        except (TransientError, TerminalError):
            self.pending, self.drafts.records = pending, pending.records
            raise

    def _survivors(self) -> dict[str, Survivor | None]:
        """What has outlived its file since the last time, or does so no more."""
        now = {one.identity: one for one in map(survivor, self.snapshot.survivors.values())}
        gone = dict.fromkeys(self.survivors - now.keys())
        self.survivors = set(now)
        return {**gone, **now}

    def restore(self) -> tuple[Applied, ...]:
        """Put in force what was in force when ``remember`` was called last; returns the commits that are applied.

        Raises TransientError or TerminalError when it cannot be read.
        """
        names = {identity(repo): self._named(repo) for repo in self.repos}
        before = self.drafts.memory.load()
        found, self.gone = adopted(before, names)
        if not found.applied:
            self.drafts.drafter.prepare()
            return ()
        self.files = {file.path: file for file in found.files}
        self.survivors = {one.identity for one in found.survivors}
        for (source, version), commit in found.versions.items():
            self.versions.setdefault(source, {})[version] = commit
        with uncollected(len(found.files)):
            self._link(found)
        if found.files != before.files or found.applied != before.applied:  # they are called otherwise now
            self.pending.files |= self.files
            self.pending.applied |= {one.repo: one for one in found.applied}
            self.pending.keys |= self.snapshot.changed
        self.settle()
        return found.applied

    def _link(self, found: Remembered) -> None:
        drafts = self.drafts.remembered(file for file in found.files if file.blob)
        survivors = tuple(draft for one in found.survivors for draft in survived(one))
        left = [file for file in found.files if file.blob and file.path not in drafts]
        if left:  # of another version of the language: read again, or else as good as lost until that can be done
            around = [draft for file in drafts.values() for draft in file.drafts]
            drafts |= self._fresh_or_lost(left, (*around, *survivors))
        drafts |= refused(found.files)
        drafts |= {path: refused_file(path, "", UNFOLLOWED) for path in orphaned(found, drafts)}
        self.linker.restore(found.applied[-1].commit, drafts, history(found, survivors))
        self.unsettled = True

    def _fresh_or_lost(self, files: list[KnownFile], around: tuple[Draft, ...]) -> dict[str, FileDraft]:
        try:
            return self.drafts.fresh(files, around)
        except TransientError as error:
            self.lost = {file.repo for file in files}
            for file in files:
                self.files[file.path] = replace(file, blob="", why=str(error))
            return refused(self.files[file.path] for file in files)
