"""The last good of a key stays in force while its manifest has a problem: it says so, and leaves one record a change."""

from __future__ import annotations

from reconciler.core.desired import DesiredState
from reconciler.core.inputs import Draft
from reconciler.core.trouble import Trouble, file, kind, lasting, told
from reconciler.core.waiting import Waiting


def stalls(problem: str, desired: DesiredState | None) -> bool:
    """Whether what is in force stays because of what git holds now; without a desired state nobody knows what that is."""
    return bool(problem) and desired is not None and kind(problem) is not Trouble.REVISION


def notice(draft: Draft) -> None:
    """Leave a record when what is wrong with the manifest changed: once, however often and by whomever it is looked at."""
    problem, desired, before = draft.inputs.problem, draft.inputs.desired, draft.state.problem
    now = lasting(problem) if stalls(problem, desired) else ""
    if now == before or (problem and not now):
        return
    draft.change(problem=now)
    if desired is None:
        return
    held = kind(now or before) is Trouble.REMOVAL
    commit, path = desired.commit, desired.path
    names = {"commit": commit, "path": path}
    if now:
        message = f"{told(problem)}; commit {commit[:12]} stays in force"
        draft.say("removal.held" if held else "manifest.broken", message, problem=now, **names)
    else:
        message = f"commit {commit[:12]} is in force; there was: {before}"
        draft.say("removal.ended" if held else "manifest.mended", message, problem=before, **names)


def wait(draft: Draft) -> None:
    """Say what is waited for: first, unless a rollout goes on that waits for something else."""
    problem, desired = draft.inputs.problem, draft.inputs.desired
    if not problem or desired is None:
        return
    one = waiting(problem, desired)
    draft.waiting.insert(len(draft.waiting) if draft.state.rollout else 0, one)


def waiting(problem: str, desired: DesiredState) -> Waiting:
    """What a key waits for while it keeps what it had."""
    found, words = kind(problem), told(problem)
    who = {
        Trouble.MANIFEST: f"whoever mends {file(problem) or desired.path}",
        Trouble.REMOVAL: f"whoever restores {desired.path}, or approves the removal",
        Trouble.REVISION: f"whoever pushes it, or corrects {desired.path}",
    }[found]
    return Waiting(found, words, who, None, None)
