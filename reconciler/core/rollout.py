"""The rollout state machine: judge the step in progress, then go on, hold or turn back.

A release steps (capacity, traffic, bake, once per step), is promoted, and the key is idle again. From any step the way back
begins when the release regresses, crashes, is aborted or is superseded. ``attempt`` begins and ends it.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import attempt, gate, plan, retire, rollback
from reconciler.core.analysis import Analysis, Verdict, analyse
from reconciler.core.components import version_of
from reconciler.core.desired import Instant, StrategyKind
from reconciler.core.digest import release_digest
from reconciler.core.inputs import DAEMON, Draft
from reconciler.core.observed import Tick
from reconciler.core.state import Phase, Result, Rollout, RolloutKind, SetRoute
from reconciler.core.units import percent_words


def observe_traffic(draft: Draft) -> None:
    """Note when the router first confirmed the traffic of the current step or phase."""
    rollout, current = draft.state.rollout, draft.state.plan
    observed = draft.inputs.observed
    if rollout is None or rollout.confirmed is not None or current is None:
        return
    # The way back is the router's alone; of a step it has to be known which instances got traffic.
    if not (observed.sees_traffic if rollout.phase is Phase.ROLLING_BACK else not observed.error):
        return
    routes = [action.route for action in current.actions if isinstance(action, SetRoute)]
    fresh = plan.next_plan(draft.state, "") is None
    if fresh and routes and all(plan.in_force(route, observed) for route in routes):
        if rollout.phase is Phase.STEPPING:
            new = range(_carrying(draft, rollout), needed(draft, rollout, rollout.step))
            before = rollout.restarts + plan.restarts(observed, rollout.release.digest, new)
            rollout = replace(rollout, restarts=before)
        draft.change(rollout=replace(rollout, confirmed=draft.now))
        if rollout.phase is Phase.STEPPING:
            version = version_of(rollout.release.desired)
            message = f"{version} carries {percent_words(routes[0].weight)} of the traffic"
            draft.say("rollout.step", message, attempt=rollout.attempt, step=rollout.step, weight=routes[0].weight)


def tick_due(rollout: Rollout | None, ticks: tuple[Tick, ...], now: Instant) -> bool:
    """Whether it is time for another reading: at once for the first (the baseline), then once per interval.

    On the way back one more is taken when all traffic has left, so that every request that met the release is counted.
    """
    if rollout is None or rollout.kind is not RolloutKind.RELEASE or rollout.phase is Phase.PROMOTING:
        return False
    if rollout.phase is Phase.ROLLING_BACK:
        last = ticks[-1].reading.at if ticks else None
        return last is not None and rollout.confirmed is not None and rollout.confirmed.since(last) > 0
    last = ticks[-1].reading.at if ticks else None
    # Over a restart of the machine only the wall clock is left, which may be wrong: better one reading too many.
    if last is None or last.boot != now.boot:
        return True
    # A look may come a little early; asking for nine tenths keeps the rhythm instead of skipping every second one.
    return now.since(last) >= 0.9 * rollout.release.desired.analysis.interval


# --- one step --------------------------------------------------------------------------------------------------------


def judge(draft: Draft) -> None:
    """Look at the step in progress: turn back, hold, wait, or go on."""
    rollout = draft.state.rollout
    if rollout is None or rollout.phase is not Phase.STEPPING:
        return
    draft.analysis = _analysis(draft, rollout)
    stop = hard_stop(draft, rollout)
    serves_alone = rollback.serves_alone(draft, rollout)
    overtaken = _overtaken(draft, rollout)
    if (overtaken or stop) and not serves_alone and rollback.may_serve_alone(draft):
        return  # what cannot be seen to serve nothing is left as it is until it can
    if overtaken and (serves_alone or not stop):
        _supersede(draft, rollout, overtaken, serves_alone=serves_alone)
    elif stop and serves_alone:
        # There is nothing to go back to: taking the only release away would fail every request.
        _hold(draft, rollout, f"{stop}; there is no certified release to go back to")
    elif stop:
        rollback.turn_back(draft, stop)
    elif rollout.confirmed is None:
        _wait_for_capacity(draft, rollout)
    elif rollout.kind is RolloutKind.ROLLBACK:
        advance(draft, rollout, rollout.reason)
    else:
        _bake(draft, rollout)


def _analysis(draft: Draft, rollout: Rollout) -> Analysis | None:
    if rollout.kind is RolloutKind.ROLLBACK or not draft.inputs.ticks:
        return None
    steps, policy = plan.steps_of(rollout, draft.state.stable), rollout.release.desired.analysis
    found = analyse(policy, steps, rollout.step, draft.inputs.ticks, rollout.control, draft.now, draft.inputs.progress)
    if _uncompared(draft, rollout) and found.verdict in {Verdict.INCONCLUSIVE, Verdict.NO_DATA}:
        return replace(found, reason=_by_health(draft, rollout, found.dwell))  # no number of requests is waited for
    return found


def _uncompared(draft: Draft, rollout: Rollout) -> bool:
    """Whether instances that are ready certify the release, for want of anything to compare it with."""
    return draft.state.stable is None or rollout.release.desired.strategy.kind is StrategyKind.ALL_AT_ONCE


def _by_health(draft: Draft, rollout: Rollout, dwell: float) -> str:
    need = rollout.release.desired.instances
    bake = plan.steps_of(rollout, draft.state.stable)[rollout.step].bake
    mine = "its instance is" if need == 1 else f"its {need} instances are"
    if plan.ready(draft.inputs.observed, rollout.release.digest) < need:
        return f"certified as soon as {mine} ready again"
    was = "its instance was" if need == 1 else f"its {need} instances were"
    return f"certified when {was} ready for {bake:g} s ({dwell:.1f} s so far)"


def hard_stop(draft: Draft, rollout: Rollout) -> str:
    """Why the attempt cannot go on, whatever the statistics need; empty when it can."""
    observed, digest = draft.inputs.observed, rollout.release.digest
    dead = plan.failed(observed, digest)
    if dead is not None:
        return f"instance {dead.ordinal} failed: {dead.message}"
    down = plan.restarts(observed, digest, range(_carrying(draft, rollout))) - rollout.restarts
    if down > 0 and rollout.kind is RolloutKind.RELEASE:
        words = next((one.message for one in observed.instances if one.digest == digest and one.message), "")
        return f"the canary went down by itself {down} time{'s' if down > 1 else ''}" + (f": {words}" if words else "")
    if draft.analysis is not None and draft.analysis.verdict is Verdict.REGRESSED:
        return draft.analysis.reason
    limit = rollout.release.desired.strategy.progress_deadline
    late = rollout.confirmed is None and draft.now.since(rollout.entered) > limit
    # It is no fault of instances that are ready, or that nobody can see: a router or a daemon was down.
    if late and not observed.error and plan.ready(observed, digest) < needed(draft, rollout, rollout.step):
        return f"its instances did not become ready within {limit:g} s"
    return ""


def needed(draft: Draft, rollout: Rollout, step: int) -> int:
    """How many instances of the candidate a step needs."""
    weight = plan.steps_of(rollout, draft.state.stable)[step].weight
    return plan.capacity(rollout.release.desired.instances, weight)


def _carrying(draft: Draft, rollout: Rollout) -> int:
    """How many instances of the candidate have got traffic: those of the last step that was in force."""
    step = rollout.step if rollout.confirmed is not None else rollout.step - 1
    return needed(draft, rollout, step) if step >= 0 else 0


def _overtaken(draft: Draft, rollout: Rollout) -> str:
    """Why the release is not wanted any more; empty when it is, or when nobody can tell."""
    desired = draft.inputs.desired
    if rollout.kind is RolloutKind.ROLLBACK:
        return ""
    if desired is None:
        return retire.removal(draft)
    same = release_digest(desired) == rollout.release.digest
    return "" if same else "a newer commit asks for something else"


def _supersede(draft: Draft, rollout: Rollout, reason: str, *, serves_alone: bool) -> None:
    if not serves_alone:
        rollback.turn_back(draft, reason, result=Result.SUPERSEDED)
        return
    # The first release goes on serving, without a certificate, as what the next one is compared with.
    attempt.into_history(draft, replace(rollout, reason=reason), Result.SUPERSEDED)
    draft.change(stable=rollout.release, rollout=None)


def _wait_for_capacity(draft: Draft, rollout: Rollout) -> None:
    limit = rollout.release.desired.strategy.progress_deadline
    left = rollout.entered.wall + limit
    mine = [one for one in draft.inputs.observed.instances if one.digest == rollout.release.digest]
    words = next((f": {one.message}" for one in mine if one.message), "")
    if plan.ready(draft.inputs.observed, rollout.release.digest) >= needed(draft, rollout, rollout.step):
        who = "nobody: it is asked until it does; else whoever runs the router"
        draft.wait("Traffic", "its instances are ready; the router has not confirmed its traffic yet", who)
        return
    message = f"instances of {version_of(rollout.release.desired)} are getting ready{words}"
    end = "rolled back" if draft.state.stable is not None else "given up"  # then there is nothing to go back to
    draft.wait("Capacity", message, f"nobody: {end} at the deadline", left)


def _bake(draft: Draft, rollout: Rollout) -> None:
    passed = _passed(draft, rollout)
    held = gate.fold((gate.manifest(draft.inputs.desired), gate.pause(draft.state, draft.now)))
    if held.answer is not gate.Answer.ALLOW:
        draft.wait("Paused" if held.gate == "pause" else "NoManifest", held.reason, held.who, held.until)
        if not passed:
            _wait_for_person(draft, rollout)
    elif passed:
        advance(draft, rollout, passed)
    elif rollout.held is not None:
        _wait_for_person(draft, rollout)
    else:
        _wait_for_evidence(draft, rollout)


def _wait_for_evidence(draft: Draft, rollout: Rollout) -> None:
    # Time is dwell that was observed: a daemon that was down neither shortens nor lengthens what a step gets.
    dwell = draft.analysis.dwell if draft.analysis else 0.0
    left = rollout.release.desired.strategy.max_bake + rollout.extended - dwell
    step = plan.steps_of(rollout, draft.state.stable)[rollout.step]
    if left < 0:
        _hold(draft, rollout, f"not certified within {dwell:.0f} s: {_why(draft)}")
    elif _uncompared(draft, rollout) and draft.analysis is not None and dwell < step.bake:
        at = draft.now.wall + step.bake - dwell
        draft.wait("Analysis", _by_health(draft, rollout, dwell), "nobody: it is certified then", at)
    else:
        draft.wait("Analysis", _why(draft), "nobody: held for a person at the deadline", draft.now.wall + left)


def _why(draft: Draft) -> str:
    return draft.analysis.reason if draft.analysis else "no reading of the metrics source yet"


def _passed(draft: Draft, rollout: Rollout) -> str:
    """Why the step is passed; empty while it is not."""
    seen = draft.analysis
    step = plan.steps_of(rollout, draft.state.stable)[rollout.step]
    if seen is None or seen.dwell < step.bake or draft.inputs.observed.error:
        return ""
    if seen.verdict is Verdict.HEALTHY and seen.step_requests >= step.requests:
        return seen.reason
    uncompared = _uncompared(draft, rollout)
    need = rollout.release.desired.instances
    if uncompared and seen.dwell > 0 and plan.ready(draft.inputs.observed, rollout.release.digest) >= need:
        first = "first release, nothing to compare with" if draft.state.stable is None else "all at once"
        return f"{first}: certified on health checks alone, {need} of {need} instances ready for {seen.dwell:.0f} s"
    return ""


def _hold(draft: Draft, rollout: Rollout, reason: str) -> None:
    if rollout.held is None:
        rollout = replace(rollout, held=draft.now, reason=reason)
        draft.change(rollout=rollout)
        draft.say("rollout.held", reason, attempt=rollout.attempt, step=rollout.step)
    _wait_for_person(draft, rollout)


def _wait_for_person(draft: Draft, rollout: Rollout) -> None:
    if rollout.held is None:
        return
    limit = rollout.release.desired.strategy.hold_deadline
    if draft.now.since(rollout.held) > limit and draft.state.stable is not None:
        rollback.turn_back(draft, f"nobody decided within {limit / 3600:g} h: {rollout.reason}")
        return
    who = "prodsprint release promote, release abort or release resume"
    draft.wait("Held", rollout.reason, who, rollout.held.wall + limit if draft.state.stable else None)


def advance(draft: Draft, rollout: Rollout, reason: str, actor: str = DAEMON) -> None:
    """Leave the current step: for the next one, or for all traffic and the certificate."""
    steps = plan.steps_of(rollout, draft.state.stable)
    weight = percent_words(steps[rollout.step].weight)
    version = version_of(rollout.release.desired)
    seen = draft.analysis
    counts = {"canary_requests": seen.canary_requests, "canary_failed": seen.canary_failed} if seen else {}
    draft.say("rollout.passed", f"{version} passed {weight}: {reason}", actor, attempt=rollout.attempt, **counts)
    onward = replace(rollout, entered=draft.now, confirmed=None, held=None, reason="")
    if rollout.step + 1 < len(steps):
        draft.change(rollout=replace(onward, step=rollout.step + 1))
        return
    others = tuple(one for one in draft.state.certified if one.digest != rollout.release.digest)
    certified = (rollout.release, *others)[: rollback.MOST_CERTIFIED]
    draft.change(certified=certified, rollout=replace(onward, phase=Phase.PROMOTING, reason=reason))
