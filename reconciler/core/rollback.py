"""The way back: where to, and what may not be tried again."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import plan
from reconciler.core.components import by_settings_of, version_of
from reconciler.core.desired import Release
from reconciler.core.digest import release_digest, short
from reconciler.core.inputs import DAEMON, Draft
from reconciler.core.state import KeyState, Phase, Quarantine, Result, Rollout, RolloutKind

MOST_QUARANTINED = 1000
MOST_CERTIFIED = 5
MOST_HISTORY = 50


def certified_before(state: KeyState) -> Release | None:
    """The newest certified release that neither serves now nor is quarantined."""
    bad = {row.digest for row in state.quarantined}
    serving = state.stable.digest if state.stable else None
    return next((one for one in state.certified if one.digest != serving and one.digest not in bad), None)


def quarantine(draft: Draft, digest: str, reason: str, attempt: int) -> None:
    """Keep a digest from being rolled out again."""
    row = Quarantine(digest, reason, draft.now.wall, attempt)
    rows = (row, *(row for row in draft.state.quarantined if row.digest != digest))
    named = release_digest(draft.inputs.desired) if draft.inputs.desired else ""
    # What git still names stays, however old: it would be rolled out again the moment it is forgotten.
    kept = tuple(row for number, row in enumerate(rows) if number < MOST_QUARANTINED or row.digest == named)
    draft.change(quarantined=kept)


def serves_alone(draft: Draft, rollout: Rollout) -> bool:
    """Whether the attempt's release is the only one that serves: taking it away would fail every request."""
    if draft.state.stable is not None:
        return False
    carries = plan.routed_to(rollout.release.digest, draft.inputs.observed.traffic)
    return carries or rollout.served or rollout.confirmed is not None


def may_serve_alone(draft: Draft) -> bool:
    """Whether nothing is known to go back to and the router can't be observed: then nothing may be taken away."""
    return draft.state.stable is None and not draft.inputs.observed.sees_traffic


def turn_back(draft: Draft, reason: str, *, result: Result = Result.ROLLED_BACK, actor: str = DAEMON) -> None:
    """Begin the way back of the attempt in progress. Does nothing when it has begun already."""
    rollout = draft.state.rollout
    if rollout is None or rollout.phase is not Phase.STEPPING:
        return
    if result is Result.ROLLED_BACK and rollout.kind is RolloutKind.RELEASE:
        # A rollback's release is certified: that its instances are late, or a person changes their mind, does not undo that.
        quarantine(draft, rollout.release.digest, reason, rollout.attempt)
    back = replace(rollout, phase=Phase.ROLLING_BACK, entered=draft.now, confirmed=None, held=None, result=result)
    draft.change(rollout=replace(back, reason=reason))
    seen = draft.analysis
    draft.say(
        f"rollout.{'superseded' if result is Result.SUPERSEDED else 'rolling_back'}",
        f"{version_of(rollout.release.desired)} ({short(rollout.release.digest)}) goes back: {reason}",
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
    """Begin to bring a certified release back into service, by today's settings; what serves now is quarantined."""
    state = draft.state
    if state.stable is not None:
        quarantine(draft, state.stable.digest, reason, state.attempts)
        to = Release(to.digest, by_settings_of(to.desired, state.stable.desired))
    attempt = state.attempts + 1
    now = draft.now
    rollout = Rollout(attempt, RolloutKind.ROLLBACK, to, Phase.STEPPING, 0, now, now, reason=reason)
    draft.change(attempts=attempt, rollout=rollout)
    version = version_of(to.desired)
    draft.say("rollback.started", f"back to {version} ({short(to.digest)}): {reason}", actor, attempt=attempt)


def give_up(draft: Draft, reason: str, actor: str) -> None:
    """A person turns a rollback back: what serves goes on serving, and is not barred any more."""
    serving = draft.state.stable
    draft.change(
        quarantined=tuple(row for row in draft.state.quarantined if serving is None or row.digest != serving.digest)
    )
    turn_back(draft, reason, actor=actor)
