"""Who may say what where: declared workspaces, what they allow, and config repos that speak for some of them only."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from reconciler.manifest.marks import Path
from reconciler.manifest.problem import Code, Place, Problem, listed, printable, quoted
from reconciler.manifest.records import Draft
from reconciler.manifest.spots import WORKSPACE as _WORKSPACE

WORKSPACE, PROJECT, TARGET = "Workspace", "Project", "Target"
MOST_LISTED = 10
"""Names that a hint lists."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a workspace allows, and how much of it. None: anything, any number."""

    targets: tuple[str, ...] | None = None
    sources: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    projects: int | None = None
    environments: int | None = None
    instances: int | None = None

    @property
    def limited(self) -> bool:
        """Whether it has quotas."""
        return (self.projects, self.environments, self.instances) != (None, None, None)


def policy(draft: Draft) -> Policy:
    """The policy of a sound Workspace document."""
    body = json.loads(draft.body)
    allow, quotas = body.get("allow") or {}, body.get("quotas") or {}

    def names(field: str) -> tuple[str, ...] | None:
        return None if allow.get(field) is None else tuple(allow[field])

    limits = (quotas.get(name) for name in ("projects", "environments", "instances"))
    return Policy(names("targets"), names("sources"), names("paths"), *limits)


class Ownership:
    """The policies in force. ``repos`` names config repos with the workspaces they may speak for, none for all of them.

    As long as no Workspace is in force, every workspace is there.
    """

    def __init__(self, repos: Mapping[str, tuple[str, ...]]) -> None:
        self._repos = repos
        self._limited = any(repos.values())
        self.policies: dict[str, Policy] = {}
        self._near: dict[str, str] = {}

    @property
    def free(self) -> bool:
        """Whether everybody may say everything everywhere."""
        return not self.policies and not self._limited

    def declare(self, workspace: str, found: Policy | None) -> None:
        """Put the policy of a workspace in force; None: it is not declared any more."""
        if found is None:
            self.policies.pop(workspace, None)
        else:
            self.policies[workspace] = found
        self._near = {}

    def repo(self, path: str) -> str:
        """The name of the config repo that a file is in; empty for the only one."""
        name, colon, _ = path.partition(":")
        return name if colon and name in self._repos else ""

    def _speaks_for(self, draft: Draft) -> tuple[str, ...]:
        return self._repos.get(self.repo(draft.place.file), ()) if self._limited else ()

    def spoken_for(self, draft: Draft) -> bool:
        """Whether the config repo of a document may speak for its workspace."""
        speaks_for = self._speaks_for(draft)
        return not speaks_for or draft.workspace in speaks_for

    def stray(self, draft: Draft) -> Problem | None:
        """Why a document may not be where it is. It takes no name away from one that may."""
        speaks_for = self._speaks_for(draft)
        if speaks_for and draft.kind == WORKSPACE:
            found = "a config repo that speaks for some workspaces only cannot say what they may do"
            return Problem(
                draft.place, Code.NOT_ALLOWED, found, "Move the Workspace to a config repo without that limit"
            )
        if not self.spoken_for(draft):
            found = (
                f"this config repo speaks for {_some(speaks_for)} only, not for the workspace {quoted(draft.workspace)}"
            )
            return Problem(draft.at(_WORKSPACE), Code.NOT_ALLOWED, found, "Correct `workspace`, or move the document")
        own = self.policies.get(draft.workspace)
        if own is None or own.paths is None or draft.kind == WORKSPACE:
            return None
        path = draft.place.file
        local = path.partition(":")[2] if self.repo(path) else path
        if any(lies(local, glob) or lies(path, glob) for glob in own.paths):
            return None
        found = (
            f"manifests of the workspace {quoted(draft.workspace)} lie in {_some(own.paths)}, not in {printable(path)}"
        )
        return Problem(draft.at(_WORKSPACE), Code.NOT_ALLOWED, found, "Move the file, or correct `workspace`")

    def undeclared(self, draft: Draft, other: Draft | None) -> Problem | None:
        """Why the workspace of a document does not count. ``other`` is a document that declares it, and has a problem."""
        if not self.policies or draft.kind == WORKSPACE or draft.workspace in self.policies:
            return None
        found = f"the workspace {quoted(draft.workspace)} is not declared"
        if other is not None:
            found = f"the workspace {quoted(draft.workspace)} is declared in {other.place}, which has a problem"
            return Problem(draft.at(_WORKSPACE), Code.UNKNOWN_WORKSPACE, found, "Mend that document")
        return Problem(draft.at(_WORKSPACE), Code.UNKNOWN_WORKSPACE, found, self._meant(draft.workspace))

    def forbidden(self, draft: Draft) -> Iterator[Problem]:
        """What a project asks for and its workspace does not allow."""
        own = self.policies.get(draft.workspace)
        if own is None or draft.kind != PROJECT:
            return
        if own.targets is not None:
            for name in _others(draft, own.targets):
                yield _forbidden(draft, draft.at(("target", name)), ("target", name), own.targets)
        if own.sources is not None:
            for source, places in sorted(_sources(draft).items()):
                if not any(below(source, prefix) for prefix in own.sources):
                    yield _forbidden(draft, draft.at(*places), ("source", source), own.sources)

    def _meant(self, workspace: str) -> str:
        """What to do about an unknown workspace. However many there are, it takes no longer."""
        if not self._near:
            for name in sorted(self.policies, reverse=True):
                self._near |= dict.fromkeys(_shortened(name), name)
        close = min((self._near[short] for short in _shortened(workspace) if short in self._near), default="")
        if close:
            return f"Did you mean {quoted(close)}?"
        return f"Declare it in a Workspace document, or name one of {_some(sorted(self.policies))}"


def _sources(draft: Draft) -> dict[str, tuple[Path, ...]]:
    """Every source of a project, and where it may be written."""
    states = [wish.desired for wish in draft.wishes]
    found: dict[str, tuple[Path, ...]] = {}
    for state in states:
        for index, artifact in enumerate((state.artifact, *(part.artifact for part in state.components))):
            found.setdefault(artifact.source, (("components", index, "source"), ("source",)))
    return found


def _others(draft: Draft, allowed: tuple[str, ...]) -> list[str]:
    """Kinds of target and named Targets of a project that are not allowed. Of a kind that is allowed, every Target is."""
    kinds = {wish.desired.target for wish in draft.wishes} - set(allowed)
    named = set(draft.uses) - set(allowed)
    return sorted(kinds | named) if kinds and (named or not draft.uses) else []


def _forbidden(draft: Draft, place: Place, named: tuple[str, str], allowed: tuple[str, ...]) -> Problem:
    found = f"the workspace {quoted(draft.workspace)} does not allow the {named[0]} {quoted(named[1])}"
    return Problem(place, Code.NOT_ALLOWED, found, f"Allowed here: {_some(allowed) or 'none'}")


def _shortened(name: str) -> set[str]:
    """The name and what is left without one of its characters: names with one slip between them share one of these."""
    plain = name.replace("-", "").replace("_", "").lower()
    return {plain, *(plain[:index] + plain[index + 1 :] for index in range(len(plain)))}


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - MOST_LISTED} more" if len(every) > MOST_LISTED else ""
    return listed(every[:MOST_LISTED]) + more


def below(source: str, prefix: str) -> bool:
    """Whether a source is what an allowed prefix says, or below it: ``https://host/team`` allows no ``https://host/team-b``."""
    path = unquote(source).replace("\\", "/")
    if any(step in {".", ".."} for step in path.split("/")):
        return False  # it leads somewhere else than it looks
    if not source.startswith(prefix):
        return False
    rest = source[len(prefix) :]
    return not rest or prefix.endswith(("/", ":")) or rest[0] == "/" or (rest[0] == ":" and "://" not in prefix)


def lies(path: str, glob: str) -> bool:
    """Whether a file is where a glob says: ``*`` and ``?`` stay within a folder, ``**`` crosses any number of them."""
    steps = path.split("/")
    at = {0}
    for part in (f"{glob}**" if glob.endswith("/") else glob).split("/"):
        if part == "**":
            at = set(range(min(at), len(steps) + 1)) if at else at
        else:
            at = {index + 1 for index in at if index < len(steps) and _matches(steps[index], part)}
    return len(steps) in at


@lru_cache(maxsize=4096)
def _matches(step: str, part: str) -> bool:
    return fnmatch.fnmatchcase(step, part)
