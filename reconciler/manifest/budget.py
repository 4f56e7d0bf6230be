"""How much of what is in force one commit may remove, and who may let it remove more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable

from reconciler.core.times import parse_deadline
from reconciler.manifest.records import Draft
from reconciler.manifest.removal import Removals
from reconciler.manifest.snapshot import ProjectName


def over_budget(
    removals: Removals, held: frozenset[ProjectName], allows: Callable[[int, int], bool]
) -> frozenset[ProjectName]:
    """The projects whose removal is to be held: those that are ``held`` already, and, over the budget, the new ones.

    ``allows`` says whether so many of so many may go. Projects that go as a whole count, those that lose environments
    count, and so does each environment that such a project loses.
    """
    whole, shrunk = frozenset(removals.projects) - held, frozenset(removals.shrunk) - held
    stay = (whole | shrunk | held) & {*removals.projects, *removals.shrunk}
    lost = Counter((key.workspace, key.project) for key in removals.keys)
    within = (
        allows(len(whole), removals.before)
        and allows(len(shrunk), removals.before + 1)
        and all(allows(lost[project], 3 * lost[project]) for project in shrunk)
    )
    return stay & held if within else stay


def approving(removal: str, documents: Iterable[Draft], now: float | None = None) -> frozenset[Draft]:
    """The sound approvals of a removal, by its digest, that have not expired at ``now`` (Unix seconds)."""
    approvals = (draft for draft in documents if draft.kind == "Approval" and draft.body and not draft.problem)
    return frozenset(draft for draft in approvals if _approves(json.loads(draft.body), removal, now))


def _approves(body: dict[str, str], removal: str, now: float | None) -> bool:
    expires = body.get("expires")
    lasts = expires is None or now is None or parse_deadline(expires) > now
    return body.get("removal") == removal and lasts
