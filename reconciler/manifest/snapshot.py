"""What all manifests together ask for at one moment, as everybody else reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from reconciler.core.desired import DesiredState, Key, Tombstone
from reconciler.manifest.problem import Problem
from reconciler.manifest.records import Draft, FileDraft, Identity

ProjectName = tuple[str, str]
"""Workspace and name."""
Version = tuple[str, str]
"""Source and version: what has to be fetched."""


def project_of(key: Key) -> ProjectName:
    """The project that a key belongs to."""
    return key.workspace, key.project


@dataclass(frozen=True, slots=True)
class Usage:
    """What a project takes of its workspace's quotas."""

    projects: int = 0
    environments: int = 0
    instances: int = 0


@dataclass(frozen=True)
class Snapshot:
    """The linked manifests of all config repos. Nothing in it ever changes."""

    commit: str
    """The config repo commit that was linked last."""
    desired: Mapping[Key, DesiredState]
    key_problems: Mapping[Key, str]
    """Why a key keeps the desired state it had, or has none."""
    tombstones: Mapping[Key, Tombstone]
    """Keys whose manifest was removed, until it returns or they are retired."""
    changed: frozenset[Key]
    """Keys whose desired state, problem or tombstone is not what it was in the snapshot before."""
    files: Mapping[str, FileDraft]
    """What each file asks for."""
    projects: Mapping[ProjectName, tuple[Key, ...]]
    """The keys of each project that have a desired state, a problem or a tombstone."""
    documents: Mapping[Identity, Draft]
    """The documents in force that are no projects: the newest sound form of each."""
    survivors: Mapping[Identity, Draft]
    """Those of ``documents`` that no file gives, or not without a problem: the last good form stays."""
    amended: frozenset[Identity]
    """Those of ``documents`` and ``survivors`` that are not what they were in the snapshot before."""
    wanted: Mapping[Version, bool]
    """(source, version) of every component that git asks for or that is kept: what has to be fetched."""
    sources: Mapping[str, bool]
    """The sources in ``wanted``."""
    held: Mapping[Key, str]
    """Keys that are in force although their manifest was removed, and the commit that did so.

    While something is wrong with the project besides, ``key_problems`` says that, and all its keys are here.
    """
    granted: Mapping[ProjectName, Usage]
    """What projects may use in workspaces with quotas."""
    claims: Mapping[Identity, tuple[Draft, ...]]
    """The documents in the files, by what no two of them may share."""
    waiting: Mapping[ProjectName, frozenset[ProjectName]]
    """The projects that have, in force, a need of this one."""
    trouble: Mapping[str, tuple[Problem, ...]]
    """What is wrong with each file that has something wrong, by line."""

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with manifests, by file and line."""
        return tuple(problem for path in sorted(self.trouble) for problem in self.trouble[path])

    def dependants(self, key: Key) -> tuple[Key, ...]:
        """The keys that wait for this one, sorted: environments that come after it, and other projects' that need it."""
        own = (key.workspace, key.project)
        keys = (other for project in (own, *self.waiting.get(own, ())) for other in self.projects.get(project, ()))
        return tuple(sorted({other for other in keys if key in _before(other, self.desired.get(other))}))

    def origin(self, key: Key) -> tuple[str, Draft] | None:
        """The file and the document that say what this key is to be; None when no file does.

        Of a key in force, that is the file its desired state comes from, where it has a document about it still.
        """
        drafts = self.claims.get(("Project", key.workspace, key.project), ())
        state = self.desired.get(key)
        ranked = sorted(drafts, key=lambda draft: state is None or draft.place.file != state.path)
        return (ranked[0].place.file, ranked[0]) if ranked else None

    def blobs(self) -> frozenset[str]:
        """Ids of the blobs that were read."""
        return frozenset(file.blob for file in self.files.values() if file.blob)


def _before(key: Key, state: DesiredState | None) -> tuple[Key, ...]:
    """What has to be done before a key."""
    order = (Key(key.workspace, key.project, name) for name in state.after) if state else ()
    return (*order, *(state.needs if state else ()))
