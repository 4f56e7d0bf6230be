"""Turns the changed files of a config repo into desired states: drafted, budgeted, linked, and remembered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.config_repos import ConfigRepo
from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.drafts import Drafts, refused, uncollected
from reconciler.follower import Follower, Step
from reconciler.manifest.layers import TARGET, WORKSPACE, Layers
from reconciler.manifest.link import Linker
from reconciler.manifest.prospect import approving
from reconciler.manifest.records import Draft, FileDraft
from reconciler.manifest.snapshot import ProjectName, Snapshot
from reconciler.memory import Applied, KnownFile, Remembered, Survivor
from reconciler.recollection import Pending, history, memo, survived, survivor


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

    def apply(self, follower: Follower, step: Step) -> frozenset[Key]:
        """Link what a step of a config repo changes, and return the keys that ask for something else now.

        Raises TransientError when the mirror cannot be read; nothing has changed then.
        """
        files = self._changed_files(follower, step)
        drafts = self.drafts.of(files)
        held = self._over_budget(follower, step.commit, drafts)
        before = [self.snapshot.files.get(path) for path in drafts]
        with uncollected(len(files)):
            changed = self.linker.update(step.commit, drafts, held=held, repo=self._named(follower.repo)).changed
        self._keep(files)
        if any(_gives_defaults(draft) for draft in (*before, *drafts.values())):
            changed |= self._draft_again(step.commit)
        follower.applied = Applied(follower.identity, step.commit, step.signer)
        self.pending.applied[follower.identity] = follower.applied
        self.pending.keys |= changed
        return changed

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

    def _draft_again(self, commit: str) -> frozenset[Key]:
        """Draft again what was drafted with other defaults than those that are in force now."""
        layers = self.drafts.layers = Layers.of(self.linker.layer_drafts())
        stale = (path for path, file in self.snapshot.files.items() if not layers.fit(file))
        files = [file for path in stale if (file := self.files.get(path)) is not None and file.blob]
        held = frozenset((key.workspace, key.project) for key in self.snapshot.held)
        return self.linker.update(commit, self.drafts.fresh(files), held=held).changed if files else frozenset()

    # --- removals ---

    def _over_budget(
        self, follower: Follower, commit: str, drafts: Mapping[str, FileDraft | None]
    ) -> frozenset[ProjectName]:
        """The projects that this commit would remove, and that nobody has approved the removal of."""
        removals = self.linker.removals(drafts, self._named(follower.repo))
        budget = follower.repo.removals
        shrunk = budget.allows(len(removals.shrunk), removals.before + 1)
        if shrunk and budget.allows(len(removals.projects), removals.before):
            return frozenset()
        approved = approving(removals.digest, self._documents(drafts))
        held = frozenset(project for project in (*removals.projects, *removals.shrunk) if project[0] not in approved)
        if held:
            follower.note_removals(commit, removals, held)
        return held

    def _documents(self, drafts: Mapping[str, FileDraft | None]) -> Iterator[Draft]:
        """The documents that there are with these changes."""
        for file in drafts.values():
            yield from file.drafts if file is not None else ()
        yield from (draft for draft in self.snapshot.documents.values() if draft.place.file not in drafts)

    # --- versions ---

    def resolve_again(self, sources: Iterable[str]) -> frozenset[Key]:
        """Look up the versions of these sources again; returns the keys that ask for another commit now."""
        changed: frozenset[Key] = frozenset()
        for source in sources:
            known = self.versions.get(source, {})
            self.unread.pop(source, None)
            fresh = {name: self._look_up(source, name) for name in known if (source, name) in self.snapshot.wanted}
            self.versions[source] = fresh
            if any(fresh[name] != known[name] for name in fresh):
                changed |= self.linker.resolved(source).changed
        self.pending.keys |= changed
        return changed

    def _resolve(self, source: str, version: str) -> str | None:
        known = self.versions.setdefault(source, {})
        if version not in known:
            known[version] = self._look_up(source, version)
        return known[version]

    def _look_up(self, source: str, version: str) -> str | None:
        try:
            found = self.drafts.mirrors.resolve(source, version)
        except (TransientError, TerminalError) as error:
            self.unread[source] = str(error)
            found = None
        if found is None:
            self.unresolved.add(source)
        return found

    def forget(self, key: Key) -> frozenset[Key]:
        """Drop the tombstone of a key that has been retired; returns the keys that ask for something else now."""
        changed = self.linker.forget(key).changed if key in self.snapshot.tombstones else frozenset()
        self.pending.keys |= changed
        return changed

    def missing(self) -> Iterator[str]:
        """Service repos that hold no commit yet for a version that was asked for since the last time."""
        yield from self.unresolved
        self.unresolved.clear()

    # --- between two daemons ---

    def remember(self) -> None:
        """Write down what has changed since the last time. Raises TransientError or TerminalError."""
        pending, self.pending = self.pending, Pending()
        pending.records, self.drafts.records = self.drafts.records, {}
        if not pending.applied and not pending.keys and not pending.records:
            return
        try:
            self.drafts.memory.save(self.drafts.language, memo(pending, self.snapshot, self._survivors()))
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
        found = self.drafts.memory.load()
        known = {f"{repo.url}#{repo.branch}" for repo in self.repos}
        applied = tuple(one for one in found.applied if one.repo in known)
        if not applied:
            self.drafts.drafter.prepare()
            return ()
        files = {file.path: file for file in found.files if file.repo in known}
        self._link(found, files, applied[-1].commit)
        self.files = files
        self.survivors = {one.identity for one in found.survivors}
        self.pending.keys |= self._draft_again(applied[-1].commit)
        return applied

    def _link(self, found: Remembered, files: Mapping[str, KnownFile], commit: str) -> None:
        drafts = self.drafts.remembered(file for file in files.values() if file.blob)
        survivors = tuple(draft for one in found.survivors for draft in survived(one))
        left = [file for file in files.values() if file.blob and file.path not in drafts]
        if left:  # of another version of the language: read again
            around = [draft for file in drafts.values() for draft in file.drafts]
            drafts |= self.drafts.fresh(left, (*around, *survivors))
        with uncollected(len(files)):
            self.linker.restore(commit, {**drafts, **refused(files.values())}, history(found, survivors))


def _gives_defaults(file: FileDraft | None) -> bool:
    return file is not None and any(draft.kind in {WORKSPACE, TARGET} for draft in file.drafts)
