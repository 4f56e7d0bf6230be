"""How an attempt begins and ends, and what history keeps of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from reconciler.core import gate, plan, rollback
from reconciler.core.components import version_of
from reconciler.core.desired import Release
from reconciler.core.digest import release_digest, revision_of, short
from reconciler.core.inputs import Draft
from reconciler.core.observed import Tick
from reconciler.core.state import Attempt, Phase, Result, Rollout, RolloutKind
from reconciler.core.units import percent_words


def begin(draft: Draft) -> None:
    """Start an attempt for what is desired, if it differs from what serves and the gates allow it."""
    desired, state = draft.inputs.desired, draft.state
    if desired is None or state.rollout is not None:
        return
    release, serving = Release(release_digest(desired), desired), state.stable
    if serving is not None and release.digest == serving.digest:
        if desired != serving.desired:
            _new_settings(draft, release)
        if any(one.digest == release.digest for one in state.certified):
            return
        # A first release that was overtaken serves without a certificate; asked for again, it can still get one.
        serving = None
    if not _may_begin(draft, release):
        return
    attempt, now = state.attempts + 1, draft.now
    control = draft.inputs.control
    served = state.stable is not None and serving is None
    rollout = Rollout(
        attempt, RolloutKind.RELEASE, release, Phase.STEPPING, 0, now, now, control=control, served=served
    )
    draft.change(attempts=attempt, rollout=rollout, stable=serving)
    before = version_of(serving.desired) if serving else "nothing"
    steps = " → ".join(percent_words(step.weight) for step in plan.steps_of(rollout, serving))
    message = f"{before} → {version_of(desired)} ({short(release.digest)}) by {steps}"
    names = {"digest": release.digest, "revision": revision_of(desired), "commit": desired.commit}
    draft.say("rollout.started", message, attempt=attempt, **names)


def _may_begin(draft: Draft, release: Release) -> bool:
    state = draft.state
    verdict = gate.fold(
        (
            gate.quarantine(state, release.digest),
            gate.pause(state, draft.now),
            gate.order(release.desired, draft.inputs.predecessors),
            gate.dependency(release.desired, draft.inputs.dependencies),
        )
    )
    if verdict.answer is not gate.Answer.ALLOW:
        draft.wait(verdict.gate.capitalize(), verdict.reason, verdict.who, verdict.until)
        return False
    if state.stable is None:
        return True
    if draft.inputs.state.rollout is None and plan.in_force(plan.alone(state.stable), draft.inputs.observed):
        return True
    # Else requests to what was tried before would be counted as those of the new canary.
    version = version_of(state.stable.desired)
    draft.wait("Settling", f"all traffic has to be on {version} before another release is tried", "the router")
    return False


def _new_settings(draft: Draft, release: Release) -> None:
    # The newest settings win without a rollout: replicas, port and bake times don't change what was certified.
    certified = tuple(release if one.digest == release.digest else one for one in draft.state.certified)
    before = draft.state.stable
    draft.change(stable=release, certified=certified)
    desired = release.desired
    if before is not None and replace(before.desired, commit=desired.commit, path=desired.path) != desired:
        draft.say("settings.changed", f"settings of {version_of(desired)} follow commit {desired.commit[:12]}")


def follow(draft: Draft) -> None:
    """Let the attempt in progress take what a newer commit says beside the release: port, instances, deadlines.

    Its steps and its analysis stay: what was begun is judged by the rules it began under.
    """
    rollout, desired = draft.state.rollout, draft.inputs.desired
    if (
        rollout is None
        or desired is None
        or rollout.phase is not Phase.STEPPING
        or rollout.kind is RolloutKind.ROLLBACK
    ):
        return
    old = rollout.release.desired
    new = replace(desired, strategy=old.strategy, analysis=old.analysis)
    same = replace(new, commit=old.commit, path=old.path) == old
    if same or release_digest(desired) != rollout.release.digest:
        return
    rollout = replace(rollout, release=Release(rollout.release.digest, new))
    if draft.state.stable is None and new.port != old.port:
        rollout = replace(rollout, entered=draft.now, confirmed=None)  # it has to be served there first
    draft.change(rollout=rollout)
    draft.say("settings.changed", f"settings of {version_of(new)} follow commit {new.commit[:12]}")


def tell_kept_rules(draft: Draft) -> None:
    """Say that a newer commit's steps and analysis are for the next release, while the one in progress keeps its own."""
    rollout, desired = draft.state.rollout, draft.inputs.desired
    if rollout is None or desired is None or rollout.phase is not Phase.STEPPING:
        return
    old = rollout.release.desired
    differs = {
        "steps": desired.strategy.steps != old.strategy.steps,
        "deadlines": desired.strategy != replace(old.strategy, steps=desired.strategy.steps),
        "analysis": desired.analysis != old.analysis,
    }
    names = [name for name, new in differs.items() if new]
    if not names or rollout.kind is RolloutKind.ROLLBACK or release_digest(desired) != rollout.release.digest:
        return
    own = " → ".join(percent_words(step.weight) for step in plan.steps_of(rollout, draft.state.stable))
    words = f"the {' and '.join(names)} of commit {desired.commit[:12]} are for the next release"
    draft.wait("NextRelease", f"{words}: this one goes on by {own}, as it began", "nobody: or abort this one")


def finish(draft: Draft) -> None:
    """End an attempt once the observation shows that nothing of it is left to do."""
    rollout, observed = draft.state.rollout, draft.inputs.observed
    if rollout is None or rollout.phase is Phase.STEPPING:
        return
    promoted = rollout.phase is Phase.PROMOTING
    there = {one.digest for one in observed.instances}
    if observed.error or rollout.confirmed is None or _leaving(draft, rollout) & there:
        if promoted:
            draft.wait("Draining", "the replaced instances finish what is in flight", "nobody: they are stopped soon")
        else:
            draft.wait("RollingBack", f"the way back is being finished: {rollout.reason}", "nobody")
        return
    result = Result.PROMOTED if promoted else (rollout.result or Result.ROLLED_BACK)
    into_history(draft, rollout, result)
    if promoted:
        draft.change(stable=rollout.release, rollout=None)
    else:
        draft.change(rollout=None)


def _leaving(draft: Draft, rollout: Rollout) -> set[str]:
    if rollout.phase is Phase.ROLLING_BACK:
        return {rollout.release.digest}
    stable = draft.state.stable
    return {stable.digest} - {rollout.release.digest} if stable else set()


def into_history(draft: Draft, rollout: Rollout, result: Result) -> None:
    """Record how an attempt ended; the caller takes it out of the state."""
    desired, now = rollout.release.desired, draft.now
    back = rollout.phase is Phase.ROLLING_BACK and rollout.confirmed is not None
    restore = rollout.confirmed.since(rollout.entered) if back and rollout.confirmed else None
    met = _met(draft.inputs.ticks) if back else 0
    attempt = Attempt(
        attempt=rollout.attempt,
        kind=rollout.kind,
        digest=rollout.release.digest,
        version=version_of(desired),
        revision=revision_of(desired),
        commit=desired.commit,
        result=result,
        reason=rollout.reason,
        started=rollout.started.wall,
        ended=now.wall,
        bad_requests=met,
        restore_seconds=restore,
    )
    draft.change(history=(attempt, *draft.state.history)[: rollback.MOST_HISTORY])
    cost = f" after {met:,} requests" if back else ""
    restored = f", all traffic back in {restore * 1000:,.0f} ms" if restore is not None else ""
    message = f"{version_of(desired)} {result.replace('_', ' ')}{cost}{restored}: {rollout.reason}"
    draft.say(f"rollout.{result}", message, attempt=rollout.attempt, requests=met, restore_seconds=restore)


def _met(ticks: tuple[Tick, ...]) -> int:
    """Requests that the canary was sent in an attempt, counter restarts included."""
    sides = [tick.reading.canary for tick in ticks if not tick.reading.error]
    total = 0
    for before, after in pairwise(sides):
        if after is not None:
            goes_on = before is not None and before.epoch == after.epoch and after.sent >= before.sent
            total += after.sent - before.sent if before is not None and goes_on else after.sent
    return total
