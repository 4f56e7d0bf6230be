"""The way back: where to, and what may not be tried again."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.digest import short
from reconciler.core.inputs import DAEMON, Draft
from reconciler.core.state import KeyState, Phase, Quarantine, Release, Result, Rollout, RolloutKind

MOST_QUARANTINED = 100
MOST_CERTIFIED = 5
MOST_HISTORY = 50


def certified_before(state: KeyState) -> Release | None:
    """The newest certified release that neither serves now nor is quarantined."""
    bad = {row.digest for row in state.quarantined}
    serving = state.stable.digest if state.stable else None
    return next((one for one in state.certified if one.digest != serving and one.digest not in bad), None)


def quarantine(draft: Draft, digest: str, reason: str, attempt: int) -> None:
    """Keep a digest from being rolled out again."""
    rows = tuple(row for row in draft.state.quarantined if row.digest != digest)
    row = Quarantine(digest, reason, draft.now.wall, attempt)
    draft.change(quarantined=(row, *rows)[:MOST_QUARANTINED])


def turn_back(draft: Draft, reason: str, *, result: Result = Result.ROLLED_BACK, actor: str = DAEMON) -> None:
    """Begin the way back of the attempt in progress. Does nothing when it has begun already."""
    rollout = draft.state.rollout
    if rollout is None or rollout.phase is not Phase.STEPPING:
        return
    if result is Result.ROLLED_BACK:
        quarantine(draft, rollout.release.digest, reason, rollout.attempt)
    back = replace(rollout, phase=Phase.ROLLING_BACK, entered=draft.now, confirmed=None, held=None, result=result)
    draft.change(rollout=replace(back, reason=reason))
    seen = draft.analysis
    draft.say(
        f"rollout.{'superseded' if result is Result.SUPERSEDED else 'rolling_back'}",
        f"{rollout.release.desired.artifact.version} ({short(rollout.release.digest)}) goes back: {reason}",
        actor,
        attempt=rollout.attempt,
        digest=rollout.release.digest,
        step=rollout.step,
        verdict=seen.verdict if seen else None,
        canary_requests=seen.canary_requests if seen else 0,
        canary_failed=seen.canary_failed if seen else 0,
        control_requests=seen.control_requests if seen else 0,
        control_failed=seen.control_failed if seen else 0,
    )


def start_back(draft: Draft, to: Release, reason: str, actor: str) -> None:
    """Begin to bring a certified release back into service; what serves now is quarantined."""
    state = draft.state
    if state.stable is not None:
        quarantine(draft, state.stable.digest, reason, state.attempts)
    attempt = state.attempts + 1
    now = draft.now
    rollout = Rollout(attempt, RolloutKind.ROLLBACK, to, Phase.STEPPING, 0, now, now, reason=reason)
    draft.change(attempts=attempt, rollout=rollout)
    version = to.desired.artifact.version
    draft.say("rollback.started", f"back to {version} ({short(to.digest)}): {reason}", actor, attempt=attempt)
