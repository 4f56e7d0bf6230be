"""Quotas of workspaces: what is in force stays, and what would be too much is refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.core.desired import DesiredState
from reconciler.manifest.layered import Ledger
from reconciler.manifest.ownership import Policy
from reconciler.manifest.problem import Code, Problem, quoted
from reconciler.manifest.records import Draft
from reconciler.manifest.snapshot import ProjectName, Usage

NOTHING = Usage()
UNITS = ("projects", "environments", "instances")


def usage(draft: Draft) -> Usage:
    """What a project asks for."""
    return used(wish.desired for wish in draft.wishes)


def used(states: Iterable[DesiredState]) -> Usage:
    """What the environments of a project take."""
    every = list(states)
    instances = sum(state.instances + sum(part.instances for part in state.components) for state in every)
    return Usage(1, len(every), instances)


@dataclass(slots=True)
class Quotas:
    """What the projects of workspaces with quotas are granted."""

    granted: Ledger[ProjectName, Usage] = field(default_factory=Ledger)
    refused: dict[str, dict[ProjectName, Draft]] = field(default_factory=lambda: defaultdict(dict))
    """What asks for more than it is granted, by workspace."""
    _totals: dict[str, Usage] = field(default_factory=dict)

    def grant(self, project: ProjectName, found: Usage) -> None:
        """Let a project have so much, whatever the quotas say."""
        total, old = self._totals.get(project[0], NOTHING), self.granted.get(project, NOTHING)
        self._totals[project[0]] = _changed(total, old, found)
        if found == NOTHING:
            self.granted.discard(project)
        elif found != old:
            self.granted[project] = found

    def judge(self, workspace: str, policy: Policy, asking: Mapping[ProjectName, Draft]) -> dict[ProjectName, Problem]:
        """Grant what fits, by name, and refuse the rest, for which a problem is returned.

        ``asking`` are the projects that may have changed; what was refused before is tried again.
        """
        wanted = {**self.refused.pop(workspace, {}), **asking}
        left = dict(sorted(wanted.items()))
        for project in [name for name, draft in left.items() if _within(usage(draft), self.granted.get(name, NOTHING))]:
            self.grant(project, usage(left.pop(project)))
        while fitting := self._first(policy, left):
            for project in fitting:
                del left[project]
        if left:
            self.refused[workspace] = left
        return {name: self._problem(policy, name, draft) for name, draft in left.items()}

    def _first(self, policy: Policy, left: Mapping[ProjectName, Draft]) -> list[ProjectName]:
        """Grant what fits now, one after the other. What one of them gives back may make room for another one."""
        fitting = []
        for project, draft in left.items():
            if not self._exceeded(policy, project, draft)[0]:
                self.grant(project, usage(draft))
                fitting.append(project)
        return fitting

    def drop(self, project: ProjectName) -> None:
        """Do not try again what was refused."""
        self.refused.get(project[0], {}).pop(project, None)

    def _exceeded(self, policy: Policy, project: ProjectName, draft: Draft) -> tuple[str, int]:
        """The first quota that would be exceeded by more than it is already, and what there would be; empty for none."""
        asked, had = usage(draft), self.granted.get(project, NOTHING)
        total = _changed(self._totals.get(project[0], NOTHING), had, asked)
        for unit in UNITS:
            limit, there = getattr(policy, unit), getattr(total, unit)
            if limit is not None and getattr(asked, unit) > getattr(had, unit) and there > limit:
                return unit, there
        return "", 0

    def _problem(self, policy: Policy, project: ProjectName, draft: Draft) -> Problem:
        unit, there = self._exceeded(policy, project, draft)
        limit = getattr(policy, unit)
        found = (
            f"the workspace {quoted(draft.workspace)} may have {limit} {unit if limit != 1 else unit[:-1]}, "
            f"and would have {there} with this project"
        )
        return Problem(draft.place, Code.QUOTA, found, "Remove something else, or have the quota raised")


def _changed(total: Usage, old: Usage, new: Usage) -> Usage:
    return Usage(*(getattr(total, unit) - getattr(old, unit) + getattr(new, unit) for unit in UNITS))


def _within(asked: Usage, had: Usage) -> bool:
    return all(getattr(asked, unit) <= getattr(had, unit) for unit in UNITS)
