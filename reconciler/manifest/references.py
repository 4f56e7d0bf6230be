"""What documents name of projects: what a project depends on, and what waivers, approvals and freezes are for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from operator import itemgetter

from reconciler.core.desired import Key
from reconciler.manifest.graph import Round
from reconciler.manifest.marks import Path
from reconciler.manifest.ownership import PROJECT
from reconciler.manifest.problem import Code, Place, Problem, listed, meant, quoted
from reconciler.manifest.records import Draft, Need
from reconciler.manifest.snapshot import ProjectName
from reconciler.manifest.spots import SCOPED

Reference = tuple[str, str, str]
"""Workspace, project and environment; empty for any project, or any environment."""


class Names:
    """The environments of projects, as far as git names them or something keeps them in force."""

    def __init__(self, of: Callable[[ProjectName], frozenset[str]]) -> None:
        self.of = of
        self._counts: Counter[tuple[str, str]] = Counter()

    def anywhere(self, workspace: str, environment: str) -> bool:
        """Whether some project of the workspace has an environment of that name."""
        return (workspace, environment) in self._counts

    def change(self, project: ProjectName, before: frozenset[str], after: frozenset[str]) -> Iterator[Reference]:
        """Note other environments of a project; returns the references whose truth may have changed."""
        if before == after:
            return
        yield project[0], project[1], ""
        for name in before ^ after if before else after:
            entry = (project[0], name)
            self._counts[entry] += 1 if name in after else -1
            if not self._counts[entry]:
                del self._counts[entry]
                yield project[0], "", name
            elif name in after and self._counts[entry] == 1:
                yield project[0], "", name


def named(draft: Draft) -> set[Reference]:
    """What a document names, as far as it decides whether its references lead somewhere."""
    found = {(need.workspace, need.project, "") for need in draft.needs}
    if draft.kind == PROJECT or not draft.body:
        return found
    projects, environments = _scope(draft)
    found |= {(draft.workspace, project, "") for project in projects}
    return found if projects else {(draft.workspace, "", name) for name in environments}


def missing(draft: Draft, names: Names) -> list[Problem]:
    """References of a sound document that lead nowhere."""
    if draft.body and draft.kind != PROJECT:
        return list(_outside(draft, names))
    own = frozenset(key.environment for key in draft.keys)
    return [problem for need in draft.needs if (problem := _missing(draft, need, own, names))]


def _missing(draft: Draft, need: Need, own: frozenset[str], names: Names) -> Problem | None:
    name = quoted(need.project if need.workspace == draft.workspace else f"{need.workspace}/{need.project}")
    if (need.workspace, need.project) == (draft.workspace, draft.name):
        found = f"the project {name} cannot depend on itself"
        return Problem(need.place, Code.SELF_REFERENCE, found, "Order its own environments with `after`")
    there = names.of((need.workspace, need.project))
    if not there:
        found = f"there is no project {name}"
        return Problem(need.place, Code.UNKNOWN_PROJECT, found, "Add it, or correct the name")
    if need.environment and need.environment not in there:
        found = f"the project {name} has no environment {quoted(need.environment)}"
        return Problem(need.place, Code.UNKNOWN_ENVIRONMENT, found, meant(need.environment, there))
    if not need.environment and not own & there:
        found = f"the project {name} has none of the environments of this one, but {listed(sorted(there))}"
        return Problem(need.place, Code.UNKNOWN_ENVIRONMENT, found, "Name the environment that is needed")
    return None


def needed(draft: Draft, environment: str, names: Names) -> tuple[Key, ...]:
    """The keys that one environment of a project needs. Only after ``missing`` found nothing."""
    keys = set()
    for need in draft.needs:
        name = need.environment or environment
        if name in names.of((need.workspace, need.project)):
            keys.add(Key(need.workspace, need.project, name))
    return tuple(sorted(keys))


def circle(draft: Draft, path: Round[ProjectName]) -> Problem:
    """What is said of a project that waits for itself; ``path`` leads from it back to it."""
    own = all(workspace == draft.workspace for workspace, _ in path.nodes)
    places = [need.place for need in draft.needs if (need.workspace, need.project) == path.nodes[1]]
    found = f"projects wait for each other: {path.shown(itemgetter(1) if own else '/'.join)}"
    return Problem(places[0] if places else draft.place, Code.CYCLE, found, "Remove one of these dependencies")


def _scope(draft: Draft) -> tuple[list[str], list[str]]:
    """The projects and environments that a waiver, approval or freeze is for."""
    if draft.kind not in SCOPED:
        return [], []
    body = json.loads(draft.body)
    scope = body.get("scope", body)
    if not isinstance(scope, dict):
        return [], []
    found = [scope.get("projects") or [scope.get("project")], scope.get("environments") or [scope.get("environment")]]
    projects, environments = ([name for name in some if isinstance(name, str)] for some in found)
    return projects, environments


def _named_at(draft: Draft, field: str, index: int) -> Place:
    """Where a scope names its project or environment of that number."""
    paths: tuple[Path, ...] = ((f"{field}s", index), (field,))
    return draft.at(*(("scope", *path) for path in paths), *paths)


def _outside(draft: Draft, names: Names) -> Iterator[Problem]:
    projects, environments = _scope(draft)
    there: set[str] = set()
    for index, project in enumerate(projects):
        found = names.of((draft.workspace, project))
        there |= found
        if not found:
            words = f"there is no project {quoted(project)} in the workspace {quoted(draft.workspace)}"
            yield Problem(
                _named_at(draft, "project", index), Code.UNKNOWN_PROJECT, words, "Correct the name, or remove it"
            )
    for index, name in enumerate(environments):
        known = name in there if projects else names.anywhere(draft.workspace, name)
        if not known and (there or not projects):
            where = listed(projects) if projects else f"the workspace {quoted(draft.workspace)}"
            words = f"there is no environment {quoted(name)} in {where}"
            place = _named_at(draft, "environment", index)
            yield Problem(place, Code.UNKNOWN_ENVIRONMENT, words, "Correct the name, or remove it")
