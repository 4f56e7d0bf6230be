"""Turns the changed files of a config repo into desired states: drafted or remembered, layered, budgeted, linked.

What is drafted once is never drafted again: drafts are kept by blob id and version of the language. A change of the defaults
around manifests (their Workspace, a Target) drafts again what they reach, and nothing else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.config_repos import ConfigRepo
from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.follower import Follower, Step
from reconciler.manifest.draft import refused_file
from reconciler.manifest.drafter import Drafter
from reconciler.manifest.layers import DEFAULTS, TARGET, WORKSPACE, Layers
from reconciler.manifest.link import Linker
from reconciler.manifest.recordcodec import decode, language
from reconciler.manifest.records import Draft, FileDraft
from reconciler.manifest.removal import Removals
from reconciler.manifest.snapshot import ProjectName, Snapshot
from reconciler.memory import Applied, ConfigMemory, KnownFile, Remembered, Survivor
from reconciler.recollection import Pending, history, memo, survivor
from reconciler.source.git import Mirrors

log = logging.getLogger(__name__)

FEW = 1000
"""Drafts that are asked for by name; for more of them all are read, which is sooner done."""


@dataclass(slots=True)
class Compiler:
    """Holds the linked manifests of all config repos. Not for several threads at the same time."""

    mirrors: Mirrors
    memory: ConfigMemory
    repos: tuple[ConfigRepo, ...]
    expect: Callable[[str], None]
    """Told of service repos as soon as a manifest is seen to name them."""
    unread: dict[str, str] = field(default_factory=dict)
    """Why a mirror could not be read when a version was looked up, by URL."""
    files: dict[str, KnownFile] = field(default_factory=dict)
    parsed: int = 0
    """Manifests read and validated since the start."""
    linker: Linker = field(init=False)
    drafter: Drafter = field(default_factory=Drafter)
    layers: Layers = field(default_factory=Layers)
    language: str = field(default_factory=language)
    pending: Pending = field(default_factory=Pending)
    survivors: set[str] = field(default_factory=set)
    """Documents that are remembered as having outlived their files."""
    unresolved: set[str] = field(default_factory=set)
    versions: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """The commits of versions that were looked up, by source: good until its mirror is fetched again."""

    def __post_init__(self) -> None:
        limits = {repo.name: repo.workspaces for repo in self.repos if repo.workspaces}
        self.linker = Linker(self._resolve, limits)

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
        drafts = self._drafts(follower.repo.url, files)
        held = self._over_budget(follower, step.commit, drafts)
        before = [self.snapshot.files.get(path) for path in drafts]
        changed = self.linker.update(step.commit, drafts, held=held).changed
        if any(_gives_defaults(draft) for draft in (*before, *drafts.values())):
            changed |= self._draft_again(step.commit, held)
        for path, file in files.items():
            self.pending.files[path] = file
            if file is None:
                self.files.pop(path, None)
            else:
                self.files[path] = file
        follower.applied = Applied(follower.identity, step.commit, step.signer)
        self.pending.applied[follower.identity] = follower.applied
        self.pending.keys |= changed
        return changed

    def _changed_files(self, follower: Follower, step: Step) -> dict[str, KnownFile | None]:
        """Path to what is there now, None for what is gone. What a folder held that cannot be read is there, unread."""
        found: dict[str, KnownFile | None] = {}
        mine = {path for path, file in self.files.items() if file.repo == follower.identity} if not step.before else ()
        found.update(dict.fromkeys(mine))
        for change in step.changes:
            path = self.named(follower.repo, change.path)
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

    def named(self, repo: ConfigRepo, path: str) -> str:
        """A file's path, as problems and people name it."""
        return f"{repo.name}:{path}" if len(self.repos) > 1 else path

    # --- drafts ---

    def _drafts(self, url: str, files: Mapping[str, KnownFile | None]) -> dict[str, FileDraft | None]:
        drafts: dict[str, FileDraft | None] = {path: None for path, file in files.items() if file is None}
        there = {path: file for path, file in files.items() if file is not None}
        drafts |= {path: refused_file(path, "", file.why) for path, file in there.items() if file.why}
        wanted = {path: file.blob for path, file in there.items() if file.blob}
        known = self._remembered(wanted)
        left = {path: blob for path, blob in wanted.items() if path not in known}
        if len(left) > FEW and not self.layers:
            self.layers = Layers.of(self._giving_defaults(url, left))
        return {**drafts, **known, **self._drafted(url, left)}

    def _remembered(self, wanted: Mapping[str, str]) -> dict[str, FileDraft]:
        """The drafts by path that some daemon has made already, with the same defaults around them."""
        blobs = frozenset(wanted.values())
        records = self.memory.records(self.language, blobs if len(blobs) <= FEW else None) if blobs else {}
        found = {}
        for path, blob in wanted.items():
            record = records.get(blob)
            draft = _decoded(path, blob, record) if record is not None else None
            if draft is not None and self.layers.fit(draft):
                found[path] = draft
        return found

    def _giving_defaults(self, url: str, wanted: Mapping[str, str]) -> Iterator[Draft]:
        """The Workspaces and Targets among many manifests that nobody has read yet."""
        likely = {
            blob
            for blob, content in self.mirrors.contents(url, frozenset(wanted.values()))
            if any(word in content for word in DEFAULTS)
        }
        for draft in self._drafted(url, {path: blob for path, blob in wanted.items() if blob in likely}).values():
            yield from draft.drafts

    def _drafted(self, url: str, wanted: Mapping[str, str]) -> dict[str, FileDraft]:
        paths: dict[str, list[str]] = {}
        for path, blob in wanted.items():
            paths.setdefault(blob, []).append(path)
        files = ((path, blob, data) for blob, data in self.mirrors.contents(url, paths) for path in paths[blob])
        found = {}
        for path, draft, record in self.drafter.draft(files, self.layers):
            found[path] = draft
            self.parsed += 1
            if record:
                self.pending.records[draft.blob] = record
            for source in _sources(draft) - self.versions.keys():
                self.expect(source)
        return found

    def _draft_again(self, commit: str, held: frozenset[ProjectName]) -> frozenset[Key]:
        """Draft again what was drafted with other defaults than those that are in force now."""
        self.layers = Layers.of(self.linker.layer_drafts())
        stale = {path for path, file in self.snapshot.files.items() if not self.layers.fit(file)}
        by_repo: dict[str, dict[str, str]] = {}
        for path in stale:
            file = self.files.get(path) or self.pending.files.get(path)
            if file is not None and file.blob:
                by_repo.setdefault(_url(file), {})[path] = file.blob
        drafts = {path: draft for url, wanted in by_repo.items() for path, draft in self._drafted(url, wanted).items()}
        return self.linker.update(commit, drafts, held=held).changed if drafts else frozenset()

    # --- removals ---

    def _over_budget(
        self, follower: Follower, commit: str, drafts: Mapping[str, FileDraft | None]
    ) -> frozenset[ProjectName]:
        """The projects that this commit would remove, and that nobody has approved the removal of."""
        removals = self.linker.removals(drafts, follower.repo.name if len(self.repos) > 1 else "")
        budget = follower.repo.removals
        if budget.allows(len(removals.projects), removals.before) and len(removals.shrunk) <= budget.count:
            return frozenset()
        approved = set(self._approvals(removals, drafts))
        held = frozenset(project for project in (*removals.projects, *removals.shrunk) if project[0] not in approved)
        if held:
            follower.note_removals(commit, removals, held)
        return held

    def _approvals(self, removals: Removals, drafts: Mapping[str, FileDraft | None]) -> Iterator[str]:
        """The workspaces that have approved these removals."""
        new = (draft for file in drafts.values() if file is not None for draft in file.drafts)
        gone = {path for path, file in drafts.items() if file is None}
        old = (draft for draft in self.snapshot.documents.values() if draft.place.file not in gone)
        for draft in (*new, *old):
            if draft.kind == "Approval" and draft.body and json.loads(draft.body).get("removal") == removals.digest:
                yield draft.workspace

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
            found = self.mirrors.resolve(source, version)
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
        if not pending.applied and not pending.keys and not pending.records:
            return
        try:
            self.memory.save(self.language, memo(pending, self.snapshot, self._survivors()))
        except (TransientError, TerminalError):
            self.pending = pending
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
        found = self.memory.load()
        known = {f"{repo.url}#{repo.branch}" for repo in self.repos}
        applied = tuple(one for one in found.applied if one.repo in known)
        self.files = {file.path: file for file in found.files if file.repo in known}
        self.survivors = {one.identity for one in found.survivors}
        if applied:
            self._restore(found, applied[-1].commit)
        return applied

    def _restore(self, found: Remembered, commit: str) -> None:
        drafts: dict[str, FileDraft] = {
            path: refused_file(path, "", file.why) for path, file in self.files.items() if file.why
        }
        wanted = {path: file.blob for path, file in self.files.items() if file.blob}
        records = self.memory.records(self.language) if wanted else {}
        for path, blob in wanted.items():
            draft = _decoded(path, blob, records[blob]) if blob in records else None
            if draft is not None:
                drafts[path] = draft
        left = {path: blob for path, blob in wanted.items() if path not in drafts}
        survivors = tuple(draft for one in found.survivors for draft in _survived(one))
        if left:  # of another version of the language: read again, as far as the mirrors go
            drafts |= self._read_again(left, drafts, survivors)
        self.linker.restore(commit, drafts, history(found, survivors))
        self.pending.keys |= self._draft_again(
            commit, frozenset((key.workspace, key.project) for key in self.snapshot.held)
        )

    def _read_again(
        self, left: Mapping[str, str], drafts: Mapping[str, FileDraft], survivors: tuple[Draft, ...]
    ) -> dict[str, FileDraft]:
        by_repo: dict[str, dict[str, str]] = {}
        for path, blob in left.items():
            by_repo.setdefault(_url(self.files[path]), {})[path] = blob
        known = [draft for file in drafts.values() for draft in file.drafts]
        giving = [draft for url, wanted in by_repo.items() for draft in self._giving_defaults(url, wanted)]
        self.layers = Layers.of((*known, *giving, *survivors))
        return {path: draft for url, wanted in by_repo.items() for path, draft in self._drafted(url, wanted).items()}


def _survived(one: Survivor) -> tuple[Draft, ...]:
    draft = _decoded(one.path, "", one.record)
    return draft.drafts if draft is not None else ()


def _url(file: KnownFile) -> str:
    return file.repo.rpartition("#")[0]


def _decoded(path: str, blob: str, record: bytes) -> FileDraft | None:
    try:
        return decode(path, blob, record)
    except ValueError as error:
        log.warning("%s: what was remembered of it is read again from the repo: %s", path, error)
        return None


def _sources(file: FileDraft) -> set[str]:
    states = [wish.desired for draft in file.drafts for wish in draft.wishes]
    return {one.artifact.source for state in states for one in (state, *state.components)}


def _gives_defaults(file: FileDraft | None) -> bool:
    return file is not None and any(draft.kind in {WORKSPACE, TARGET} for draft in file.drafts)
