"""What people ask for by verb. Each request is answered once: accepted with what follows, or refused with why."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import rollback
from reconciler.core.digest import short
from reconciler.core.inputs import Draft
from reconciler.core.rollout import advance, hard_stop
from reconciler.core.state import Pause, Phase, Request, RolloutKind, Verb

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
    elif rollout.confirmed is None:
        draft.answer(request, "the step's traffic is not in force yet; ask again when it is", accepted=False)
    elif draft.state.stable is not None and hard_stop(draft, rollout):
        draft.answer(request, "refused: the canary is down or regressed", accepted=False)
    else:
        draft.answer(request, f"step {rollout.step + 1} counts as passed, by {request.who}", accepted=True)
        advance(draft, rollout, f"promoted by {request.who}: {request.reason}", request.who)


def _abort(draft: Draft, request: Request) -> None:
    rollout = draft.state.rollout
    if rollout is None:
        draft.answer(request, "nothing is in progress", accepted=False)
    elif rollout.phase is Phase.ROLLING_BACK:
        draft.answer(request, "it is on the way back already", accepted=True)
    elif rollout.phase is Phase.PROMOTING:
        draft.answer(request, "it is certified already; ask for a rollback instead", accepted=False)
    else:
        draft.answer(request, "going back", accepted=True)
        rollback.turn_back(draft, f"aborted by {request.who}: {request.reason}", actor=request.who)


def _rollback(draft: Draft, request: Request) -> None:
    rollout = draft.state.rollout
    if rollout is not None and rollout.kind is RolloutKind.RELEASE and rollout.phase is not Phase.PROMOTING:
        _abort(draft, request)
        return
    if rollout is not None:
        draft.answer(request, "a change of all traffic is being finished; ask again after it", accepted=False)
        return
    to = rollback.certified_before(draft.state)
    if to is None:
        draft.answer(request, "there is no earlier certified release to go back to", accepted=False)
        return
    draft.answer(request, f"going back to {to.desired.artifact.version} ({short(to.digest)})", accepted=True)
    rollback.start_back(draft, to, f"rollback by {request.who}: {request.reason}", request.who)
