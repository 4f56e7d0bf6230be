"""Manifests that go away: which projects and environments a change would remove, and what to say while that is held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from reconciler.core.desired import Key
from reconciler.core.digest import canonical, sha256
from reconciler.manifest.models.header import API_VERSION
from reconciler.manifest.problem import Code, Place, Problem
from reconciler.manifest.snapshot import ProjectName, project_of


@dataclass(frozen=True)
class Removals:
    """What is in force and would not be named by any manifest. An Approval of it names its ``digest``."""

    keys: tuple[Key, ...]
    """All of it, sorted: environments of projects that go as a whole, and of projects that stay."""
    projects: tuple[ProjectName, ...]
    """Projects that go as a whole: what a budget counts."""
    shrunk: tuple[ProjectName, ...]
    """Projects that stay, with fewer environments. They are none of ``projects``; count them by themselves."""
    before: int
    """Projects in force before, in the same config repo."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the sorted keys, in hex."""
        return digest(self.keys)


def digest(keys: Iterable[Key]) -> str:
    """What an Approval of the removal of these keys names."""
    return sha256(canonical([str(key) for key in sorted(keys)]))


def held_problems(held: Mapping[Key, tuple[str, str]], repo_of: Mapping[Key, str]) -> dict[Key, Problem]:
    """What is said of keys whose removal is held. ``held`` has the removing commit and the file that each was in."""
    groups: dict[str, list[Key]] = defaultdict(list)
    for key in sorted(held):
        groups[repo_of[key]].append(key)
    found = {}
    for keys in groups.values():
        projects = sorted({project_of(key) for key in keys})
        among = digest(keys)
        for key in keys:
            commit, path = held[key]
            found[key] = _held(key, Place(path), commit, (len(projects) - 1, among))
    return found


def _held(key: Key, place: Place, commit: str, group: tuple[int, str]) -> Problem:
    others, among = group
    together = f" together with {others} other project{'s' if others > 1 else ''}" if others else ""
    words = f"{key} was removed by commit {commit[:12]}{together}, more than the budget allows: it is held in force"
    document = approval_of(among, key.workspace)
    return Problem(place, Code.REMOVAL_HELD, words, f"Restore it, or commit this with a reason: `{document}`")


def approval_of(digest: str, workspace: str) -> str:
    """The document that approves a removal for a workspace. Its reason is empty, and refused until somebody gives one."""
    name = f"removal-{digest[:12]}"
    return (
        f"{{apiVersion: {API_VERSION}, kind: Approval, workspace: {workspace}, name: {name}, removal: {digest}, "
        'reason: ""}'
    )
