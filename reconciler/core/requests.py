"""What people ask for by verb. Each request is answered once: accepted with what follows, or refused with why."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import gate, plan, retire, rollback
from reconciler.core.components import version_of
from reconciler.core.digest import short
from reconciler.core.inputs import Draft
from reconciler.core.rollout import advance, hard_stop, needed
from reconciler.core.state import Pause, Phase, Request, Rollout, RolloutKind, Verb, retired

PAUSE_SECONDS = 86_400.0
"""A pause without an end of its own expires after a day: what a verb leaves behind never stays for ever."""


def answer_requests(draft: Draft) -> None:
    """Decide on every waiting request, oldest first."""
    verbs = {
        Verb.SYNC: _sync,
        Verb.PAUSE: _pause,
        Verb.RESUME: _resume,
        Verb.PROMOTE: _promote,
        Verb.ABORT: _abort,
        Verb.ROLLBACK: _rollback,
        Verb.RETIRE: _retire,
    }
    for request in draft.inputs.requests:
        verbs[request.verb](draft, request)


def _sync(draft: Draft, request: Request) -> None:
    draft.answer(request, "looked again; git decides what follows", accepted=True)


def _pause(draft: Draft, request: Request) -> None:
    now = draft.now.wall
    until = request.expires or now + PAUSE_SECONDS
    if until <= now:
        draft.answer(request, "the end of the pause is in the past", accepted=False)
        return
    draft.change(pause=Pause(request.who, request.reason, now, until))
    draft.answer(request, "promotion is held; the way back is not", accepted=True)


def _resume(draft: Draft, request: Request) -> None:
    rollout = draft.state.rollout
    if draft.state.pause is None and (rollout is None or rollout.held is None):
        draft.answer(request, "nothing is paused", accepted=False)
        return
    draft.change(pause=None)
    if rollout is not None and rollout.held is not None:
        # A held step gets its longest bake once more: the person has looked, and wants it to go on collecting evidence.
        more = rollout.extended + rollout.release.desired.strategy.max_bake
        draft.change(rollout=replace(rollout, held=None, reason="", extended=more))
    draft.answer(request, "promotion goes on", accepted=True)


def _promote(draft: Draft, request: Request) -> None:
    rollout = draft.state.rollout
    if rollout is None or rollout.phase is not Phase.STEPPING:
        draft.answer(request, "no rollout waits for a promotion", accepted=False)
    elif request.attempt and (request.attempt, request.step) != (rollout.attempt, rollout.step):
        gone = f"step {request.step + 1} of attempt {request.attempt}"
        draft.answer(request, f"asked for {gone}, which is over; look again", accepted=False)
    elif why_not := _not_promoted(draft, rollout):
        draft.answer(request, why_not, accepted=False)
    else:
        draft.answer(request, f"step {rollout.step + 1} counts as passed, by {request.who}", accepted=True)
        advance(draft, rollout, f"promoted by {request.who}: {request.reason}", request.who)


def _not_promoted(draft: Draft, rollout: Rollout) -> str:
    """Why the step may not count as passed, whoever asks; empty when it may."""
    observed = draft.inputs.observed
    if rollout.confirmed is None:
        return "the step's traffic is not in force yet; ask again when it is"
    if observed.error:
        return f"what runs cannot be observed now: {observed.error}"
    held = gate.fold((gate.manifest(draft.inputs.desired), gate.pause(draft.state, draft.now)))
    if held.answer is not gate.Answer.ALLOW:
        return f"{held.reason} ({held.who})"
    ready, need = plan.ready(observed, rollout.release.digest), needed(draft, rollout, rollout.step)
    if ready < need:
        return f"{ready} of {need} instances are ready"
    if draft.state.stable is not None and hard_stop(draft, rollout):
        return "refused: the canary is down or regressed"
    return ""


def _abort(draft: Draft, request: Request) -> None:
    rollout = draft.state.rollout
    if rollout is None:
        draft.answer(request, "nothing is in progress", accepted=False)
    elif request.attempt and request.attempt != rollout.attempt:
        draft.answer(request, f"asked for attempt {request.attempt}, which is over; look again", accepted=False)
    elif rollout.phase is Phase.ROLLING_BACK:
        draft.answer(request, "it is on the way back already", accepted=True)
    elif rollout.phase is Phase.PROMOTING:
        draft.answer(request, "it is certified already; ask for a rollback instead", accepted=False)
    elif rollback.serves_alone(draft, rollout):
        draft.answer(request, "it is the only release that serves; commit another version", accepted=False)
    elif rollback.may_serve_alone(draft):
        draft.answer(request, "whether it serves cannot be observed now; ask again", accepted=False)
    else:
        draft.answer(request, "going back", accepted=True)
        back = rollback.turn_back if rollout.kind is RolloutKind.RELEASE else rollback.give_up
        back(draft, f"aborted by {request.who}: {request.reason}", actor=request.who)


def _rollback(draft: Draft, request: Request) -> None:
    rollout = draft.state.rollout
    if rollout is not None and rollout.kind is RolloutKind.RELEASE and rollout.phase is not Phase.PROMOTING:
        _abort(draft, request)
        return
    if rollout is not None:
        draft.answer(request, "a change of all traffic is being finished; ask again after it", accepted=False)
        return
    if draft.state.retirement is not None:
        draft.answer(request, "it is taken out of service; bring its manifest back first", accepted=False)
        return
    to = rollback.certified_before(draft.state)
    if to is None:
        draft.answer(request, "there is no earlier certified release to go back to", accepted=False)
        return
    draft.answer(request, f"going back to {version_of(to.desired)} ({short(to.digest)})", accepted=True)
    rollback.start_back(draft, to, f"rollback by {request.who}: {request.reason}", request.who)


def _retire(draft: Draft, request: Request) -> None:
    desired, problem, state = draft.inputs.desired, draft.inputs.problem, draft.state
    if desired is not None:
        draft.answer(request, f"{desired.path} asks for it; remove it there first", accepted=False)
    elif problem:
        draft.answer(request, f"whether a manifest asks for it is not known: {problem}", accepted=False)
    elif retired(state):
        draft.answer(request, "it is retired already", accepted=False)
    elif state.retirement is not None:
        draft.answer(request, "it is being retired already", accepted=True)
    else:
        draft.answer(request, "traffic goes, then the instances", accepted=True)
        retire.begin(draft, request.who, f"retired by {request.who}: {request.reason}")
