"""The decision: from what is desired, observed, measured and remembered to the next state and the actions due.

Read ``decide`` as a numbered list. Each step looks at the draft and may change its state; the actions follow from the state
alone (``plan.wanted_actions``), and are saved as a plan before anyone acts on them.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import attempt, lastgood, plan, retire, rollout
from reconciler.core.components import version_of
from reconciler.core.condition import false, merge, true
from reconciler.core.digest import release_digest, short
from reconciler.core.inputs import Decision, Draft, Inputs
from reconciler.core.observed import InstanceStatus, Observed
from reconciler.core.outcome import Done, Outcome, RequeueAfter
from reconciler.core.requests import answer_requests
from reconciler.core.state import Condition, ConditionStatus, ConditionType, Phase, Rollout, SetRoute, retired
from reconciler.core.trouble import Trouble, kind, lasting, told
from reconciler.core.waiting import Waiting

SETTLING = 0.1
"""Seconds until the next look while instances start or stop: reading their state is cheap."""
CONFIRMING = 0.02
"""Seconds until the next look after traffic was moved: routers take a few milliseconds."""
WATCHING = 1.0
"""Most seconds between two looks at the instances of a rollout, however long the analysis interval is."""


def decide(inputs: Inputs) -> Decision:
    """Decide on one key. Pure: the same inputs give the same decision, anywhere."""
    draft = Draft(inputs, inputs.state)
    _unobserved(draft)
    lastgood.notice(draft)  # 0. whether the manifest was broken or mended
    rollout.observe_traffic(draft)  # 1. what the router has confirmed
    attempt.finish(draft)  # 2. an attempt with nothing left to do ends
    attempt.follow(draft)  # 3. one in progress takes newer settings that are no part of its release
    rollout.judge(draft)  # 4. the step in progress: back, hold, wait or on
    answer_requests(draft)  # 5. what people ask for
    _expire(draft)  # 6. what verbs left behind ends
    retire.retire(draft)  # 7. what is to be taken out of service goes on going
    attempt.begin(draft)  # 8. a new attempt, if gates allow
    attempt.tell_kept_rules(draft)
    lastgood.wait(draft)
    _plan(draft)  # 9. the actions that the state asks for, under a new generation if they changed
    due = _due(draft)  # 10. which of them may be done now
    _conditions(draft, due)  # 11. what is true of the key
    changed = draft.state != inputs.state or bool(draft.records)
    state = replace(draft.state, revision=inputs.state.revision + 1) if changed else inputs.state
    outcome = _look_again(draft, due, changed=changed)
    return Decision(
        state=state,
        changed=changed,
        due=due,
        outcome=outcome,
        records=tuple(draft.records),
        answers=tuple(draft.answers),
        waiting=_waiting(draft, outcome),
        analysis=draft.analysis,
    )


def _unobserved(draft: Draft) -> None:
    error = draft.inputs.observed.error
    if error:
        draft.wait("NotObserved", error, "nobody: it is tried again; else whoever runs the target or the router")


def _expire(draft: Draft) -> None:
    held = draft.state.pause
    if held is not None and held.until <= draft.now.wall:
        draft.change(pause=None)
        draft.say("pause.expired", f"the pause by {held.who} has ended: {held.reason}")


def _plan(draft: Draft) -> None:
    reason = draft.records[-1].message if draft.records else "the state asks for other actions"
    following = plan.next_plan(draft.state, reason)
    if following is not None:
        draft.change(plan=following, generation=following.generation)


def _due(draft: Draft) -> plan.Due:
    state = draft.state
    if state.plan is None:
        return plan.Due((), finished=True)
    current, going = state.rollout, state.retirement
    since = current.confirmed if current else going.confirmed if going else None
    leaves = current.release if current else state.stable if going else None
    drain = leaves.desired.strategy.drain if leaves else 0.0
    if going is not None and current is None and not draft.unasked:
        return plan.Due((), draft.inputs.problem, finished=True)  # nothing is destroyed on a guess
    fresh = state.generation != draft.inputs.state.generation
    if draft.inputs.observed.error and current is not None and current.phase is Phase.ROLLING_BACK:
        return plan.due_blindly(state.plan, draft.inputs.observed, fresh=fresh)
    return plan.due(state.plan, draft.inputs.observed, draft.now, since, drain, fresh=fresh)


# --- conditions ------------------------------------------------------------------------------------------------------


def _conditions(draft: Draft, due: plan.Due) -> None:
    # Messages hold no counts that move with every look: a look that changes nothing must leave the state alone.
    found = [_ready(draft), _healthy(draft), *_reconciling(draft, due), *_stalled(draft), _drifted(draft)]
    merged = merge(draft.state.conditions, tuple(found), draft.state.generation, draft.now.wall)
    draft.change(conditions=merged)


def _ready(draft: Draft) -> Condition:
    state, desired = draft.state, draft.inputs.desired
    if draft.inputs.problem:
        return false(ConditionType.READY, *_problem(draft.inputs.problem))
    if desired is None:
        return _unasked(draft)
    digest = release_digest(desired)
    if state.rollout is not None:
        version = version_of(state.rollout.release.desired)
        return false(ConditionType.READY, "RolloutInProgress", f"{version}: {state.rollout.phase.replace('_', ' ')}")
    if state.stable is not None and state.stable.digest == digest:
        return true(ConditionType.READY, "Certified", f"{version_of(desired)} ({short(digest)}) serves")
    if draft.waiting:
        return false(ConditionType.READY, draft.waiting[0].condition, draft.waiting[0].message)
    return false(ConditionType.READY, "Pending", f"{version_of(desired)} is not released yet")


def _problem(problem: str) -> tuple[str, str]:
    """Reason and message that stay the same while only what others do about it is worded anew."""
    what = kind(problem)
    words = lasting(problem) if what is Trouble.MANIFEST else told(problem)
    return "ManifestProblem" if what is Trouble.REVISION else what, words


def _unasked(draft: Draft) -> Condition:
    going = draft.state.retirement
    if going is not None:
        return false(ConditionType.READY, "Retiring" if going.ended is None else "Retired", retire.ending(going))
    if draft.inputs.tombstone is not None:
        return false(ConditionType.READY, "Tombstone", retire.kept(draft))
    return false(ConditionType.READY, "NoManifest", "no manifest asks for this key; what runs is left as it is")


def _healthy(draft: Draft) -> Condition:
    observed, stable = draft.inputs.observed, draft.state.stable
    if observed.error:
        return Condition(ConditionType.HEALTHY, ConditionStatus.UNKNOWN, "NotObserved", observed.error, 0)
    if stable is None:
        return false(ConditionType.HEALTHY, "NothingCertified", "no release has been certified yet")
    need = stable.desired.instances
    if plan.ready(observed, stable.digest) >= need:
        return true(ConditionType.HEALTHY, "InstancesReady", f"all {need} instances are ready")
    # Only what has failed for good says why here: the words of what is still being tried move with every look.
    dead = plan.failed(observed, stable.digest)
    message = "fewer instances than asked for are ready" + (f": {dead.message}" if dead and dead.message else "")
    return false(ConditionType.HEALTHY, "InstancesNotReady", message)


def _reconciling(draft: Draft, due: plan.Due) -> tuple[Condition, ...]:
    if draft.state.rollout is None and due.finished:
        return ()
    current = draft.state.rollout
    idle = "Applying" if draft.state.retirement is None else "Retiring"
    reason = current.phase.replace("_", " ").title().replace(" ", "") if current else idle
    return (true(ConditionType.RECONCILING, reason, draft.state.plan.reason if draft.state.plan else ""),)


def _stalled(draft: Draft) -> tuple[Condition, ...]:
    current = draft.state.rollout
    if current is not None and current.held is not None:
        return (true(ConditionType.STALLED, "Held", current.reason),)
    if lastgood.stalls(draft.inputs.problem, draft.inputs.desired):
        return (true(ConditionType.STALLED, *_problem(draft.inputs.problem)),)
    first = next((one for one in draft.waiting if one.condition == "Quarantine"), None)
    if current is None and first is not None:
        return (true(ConditionType.STALLED, "Quarantined", first.message),)
    return ()


def _drifted(draft: Draft) -> Condition:
    known = {release.digest for release in draft.state.plan.releases} if draft.state.plan else set()
    strays = sorted({one.digest for one in draft.inputs.observed.instances} - known)
    if strays:
        names = ", ".join(short(one) for one in strays)
        return true(ConditionType.DRIFTED, "UnknownInstances", f"instances of releases that no plan names: {names}")
    return false(ConditionType.DRIFTED, "AsPlanned", "nothing runs that the plan does not name")


# --- when to look again ----------------------------------------------------------------------------------------------


def _look_again(draft: Draft, due: plan.Due, *, changed: bool) -> Outcome:
    state = draft.state
    before = draft.inputs.state
    if changed and (draft.records or replace(state, conditions=before.conditions) != before):
        return RequeueAfter(CONFIRMING, "see what came of it")
    if state.rollout is not None and state.rollout.confirmed is None:
        return RequeueAfter(_confirming(draft, state.rollout, due), due.blocked)
    if not due.finished:
        return RequeueAfter(_settling(draft.inputs.observed), due.blocked)
    if state.rollout is None:
        resting = not retired(state) and (state.plan or draft.waiting)
        return RequeueAfter(_rest(draft), "resync") if resting else Done()
    if state.rollout.phase is not Phase.STEPPING:
        return RequeueAfter(SETTLING, "the attempt ends")
    ticks = draft.inputs.ticks
    interval = state.rollout.release.desired.analysis.interval
    left = interval - draft.now.since(ticks[-1].reading.at) if ticks else 0.0
    return RequeueAfter(min(WATCHING, max(CONFIRMING, left)), "the next reading")


def _rest(draft: Draft) -> float:
    held = draft.state.pause
    return min(draft.inputs.resync, max(CONFIRMING, held.until - draft.now.wall)) if held else draft.inputs.resync


def _confirming(draft: Draft, current: Rollout, due: plan.Due) -> float:
    # A router says within milliseconds that it has moved traffic; one that does not is not asked faster for longer.
    asked = any(isinstance(action, SetRoute) for action in due.actions)
    if asked and draft.now.since(current.entered) < WATCHING:
        return CONFIRMING
    return WATCHING if draft.inputs.observed.error else SETTLING


def _settling(observed: Observed) -> float:
    # What cannot be observed, or has failed, does not get better by being looked at ten times a second.
    moving = (InstanceStatus.PREPARING, InstanceStatus.STARTING, InstanceStatus.STOPPING, InstanceStatus.READY)
    stuck = any(one.status not in moving for one in observed.instances)
    return WATCHING if observed.error or stuck else SETTLING


def _waiting(draft: Draft, outcome: Outcome) -> tuple[Waiting, ...]:
    again = draft.now.wall + outcome.delay if isinstance(outcome, RequeueAfter) else None
    return tuple(replace(one, next_look=again) for one in draft.waiting)
