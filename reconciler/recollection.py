"""What a compilation leaves for the next daemon, and what the last daemon left for this one, in each other's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace

from reconciler.core.desired import Key, Tombstone
from reconciler.drafts import decoded
from reconciler.manifest.link import History
from reconciler.manifest.recordcodec import encode
from reconciler.manifest.records import Draft, FileDraft
from reconciler.manifest.snapshot import ProjectName, Snapshot, Usage
from reconciler.memory import Applied, Carried, Carry, KnownFile, Memo, Remembered, Survivor


@dataclass(slots=True)
class Pending:
    """What has to be remembered of the compilations since the last time."""

    applied: dict[str, Applied] = field(default_factory=dict)
    files: dict[str, KnownFile | None] = field(default_factory=dict)
    keys: set[Key] = field(default_factory=set)
    versions: dict[tuple[str, str], str | None] = field(default_factory=dict)
    records: dict[str, bytes] = field(default_factory=dict)


def memo(pending: Pending, snapshot: Snapshot, survivors: Mapping[str, Survivor | None]) -> Memo:
    """What has to be written down of these changes."""
    projects = {(key.workspace, key.project) for key in pending.keys}
    return Memo(
        tuple(pending.applied.values()),
        pending.files,
        {key: carried(snapshot, key) for key in pending.keys},
        {key: state.commit if (state := snapshot.desired.get(key)) else None for key in pending.keys},
        survivors,
        {"/".join(project): _usage(snapshot.granted.get(project)) for project in projects},
        pending.versions,
        pending.records,
    )


def carried(snapshot: Snapshot, key: Key) -> Carried | None:
    """What has to be remembered of a key because no manifest says it; None when one does, or nothing is in force."""
    tombstone = snapshot.tombstones.get(key)
    if tombstone is not None:
        return Carried(key, Carry.TOMBSTONE, tombstone.desired, tombstone.commit)
    state = snapshot.desired.get(key)
    if state is None:
        return None
    if key in snapshot.held:
        return Carried(key, Carry.HELD, state, snapshot.held[key])
    return Carried(key, Carry.KEPT, state, state.commit) if key in snapshot.key_problems else None


def history(found: Remembered, survivors: tuple[Draft, ...]) -> History:
    """What linking has to know that the files do not tell."""
    return History(
        {one.key: one.desired for one in found.carried if one.carry is not Carry.TOMBSTONE},
        found.since,
        {one.key: Tombstone(one.desired, one.commit) for one in found.carried if one.carry is Carry.TOMBSTONE},
        {one.key: one.commit for one in found.carried if one.carry is Carry.HELD},
        survivors,
        {_project(name): Usage(*usage) for name, usage in found.granted.items()},
    )


def _project(name: str) -> ProjectName:
    workspace, _, project = name.partition("/")
    return workspace, project


def _usage(usage: Usage | None) -> tuple[int, ...] | None:
    return astuple(usage) if usage is not None else None


def project_of(key: Key) -> ProjectName:
    """Workspace and project of a key."""
    return key.workspace, key.project


def orphaned(found: Remembered, drafts: Mapping[str, FileDraft]) -> set[str]:
    """The files of what stays in force although no file speaks of it any more: their repo is not followed now."""
    kept = [one for one in found.carried if one.carry is Carry.KEPT and one.desired.path not in drafts]
    named = {(draft.workspace, draft.name) for file in drafts.values() for draft in file.drafts} if kept else set()
    return {one.desired.path for one in kept if project_of(one.key) not in named}


def adopted(found: Remembered, names: Mapping[str, str]) -> tuple[Remembered, frozenset[str]]:
    """What was remembered of the repos that are followed now, under the names that they have now; and the repos that are not.

    ``names`` are by identity. A repo whose branch was only named, or is not named any more, is the same.
    """
    now = {one.repo: one.repo if one.repo in names else _same(one.repo, names) for one in found.applied}
    taken = set(names) & {one.repo for one in found.applied}
    now = {old: new for old, new in now.items() if new and (old == new or new not in taken)}
    prefixes = {one.name: names[now[one.repo]] for one in found.applied if one.repo in now}

    def moved(path: str) -> str:
        name, colon, rest = path.partition(":")
        old, inner = (name, rest) if colon and name in prefixes else ("", path)
        new = prefixes.get(old, old)
        return f"{new}:{inner}" if new else inner

    files = tuple(replace(one, repo=now[one.repo], path=moved(one.path)) for one in found.files if one.repo in now)
    carried = tuple(replace(one, desired=replace(one.desired, path=moved(one.desired.path))) for one in found.carried)
    applied = tuple(
        replace(one, repo=now[one.repo], name=names[now[one.repo]]) for one in found.applied if one.repo in now
    )
    same = replace(found, applied=applied, files=files, carried=carried)
    return same, frozenset(one.repo for one in found.applied if now.get(one.repo) != one.repo)


def _same(identity: str, names: Mapping[str, str]) -> str:
    url, _, branch = identity.rpartition("#")
    alike = [name for name in names if name.rpartition("#")[0] == url and "" in {branch, name.rpartition("#")[2]}]
    return alike[0] if len(alike) == 1 else ""


def survivor(draft: Draft) -> Survivor:
    """A document that has outlived its file."""
    path = draft.place.file
    return Survivor("/".join(draft.identity), path, encode(path, FileDraft("", (draft,), (), lost=False)))


def survived(one: Survivor) -> tuple[Draft, ...]:
    """The document again; nothing when it is damaged."""
    draft = decoded(one.path, "", one.record)
    return draft.drafts if draft is not None else ()
