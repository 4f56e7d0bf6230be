# ruff: noqa: N802, ARG002 - names and arguments of calls are the protocol's
"""ControlService: verbs, each with a reason and an identity, decided on by the next look at the key."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from prodsprint import v1

from reconciler.api import convert
from reconciler.api.application import Application
from reconciler.api.errors import bad_field, not_found
from reconciler.api.names import key_of, reason_of, who_asks
from reconciler.api.offload import Offload
from reconciler.api.paging import page_size
from reconciler.core.state import Answer, Verb
from reconciler.ports import Clock

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Most seconds that a call waits for its answer."""
MARGIN = 0.2
"""Seconds before the caller's deadline at which it is told that the answer is still to come."""
ASK_AGAIN = 0.03
LONGEST_PAUSE = 31 * 86_400.0


class Asked(Protocol):
    """What every verb's request has."""

    key: str
    reason: str
    on_behalf_of: str


class ControlService(v1.ControlServiceServicer):
    """Stores what is asked for, and waits for what becomes of it."""

    def __init__(self, app: Application, offload: Offload, clock: Clock, identity: str) -> None:
        self._app = app
        self._offload = offload
        self._clock = clock
        self._identity = identity

    async def Sync(self, request: v1.SyncRequest, context: Any) -> v1.SyncResponse:
        """See the protocol."""
        return v1.SyncResponse(answer=await self._ask(Verb.SYNC, request, context))

    async def Pause(self, request: v1.PauseRequest, context: Any) -> v1.PauseResponse:
        """See the protocol."""
        until = self._until(request) if request.HasField("until") else None
        return v1.PauseResponse(answer=await self._ask(Verb.PAUSE, request, context, until))

    async def Resume(self, request: v1.ResumeRequest, context: Any) -> v1.ResumeResponse:
        """See the protocol."""
        return v1.ResumeResponse(answer=await self._ask(Verb.RESUME, request, context))

    async def Promote(self, request: v1.PromoteRequest, context: Any) -> v1.PromoteResponse:
        """See the protocol."""
        return v1.PromoteResponse(answer=await self._ask(Verb.PROMOTE, request, context))

    async def Abort(self, request: v1.AbortRequest, context: Any) -> v1.AbortResponse:
        """See the protocol."""
        return v1.AbortResponse(answer=await self._ask(Verb.ABORT, request, context))

    async def Rollback(self, request: v1.RollbackRequest, context: Any) -> v1.RollbackResponse:
        """See the protocol."""
        return v1.RollbackResponse(answer=await self._ask(Verb.ROLLBACK, request, context))

    async def Retire(self, request: v1.RetireRequest, context: Any) -> v1.RetireResponse:
        """See the protocol."""
        return v1.RetireResponse(answer=await self._ask(Verb.RETIRE, request, context))

    async def ListDeadLetters(self, request: v1.ListDeadLettersRequest, context: Any) -> v1.ListDeadLettersResponse:
        """See the protocol."""
        if request.limit < 0:
            raise bad_field("limit", "expected a number from 0 to 1000")
        letters = await self._offload(self._app.store.dead, page_size(request.limit))
        return v1.ListDeadLettersResponse(dead_letters=[convert.dead_letter(one) for one in letters])

    async def ReplayDeadLetter(self, request: v1.ReplayDeadLetterRequest, context: Any) -> v1.ReplayDeadLetterResponse:
        """See the protocol."""
        if not await self._offload(self._app.replay, request.id):
            raise not_found("dead letter", str(request.id))
        log.info("dead letter %d is tried again, by %s", request.id, self._identity)
        return v1.ReplayDeadLetterResponse()

    def _until(self, request: v1.PauseRequest) -> float:
        until = float(request.until.seconds + request.until.nanos / 1e9)
        now = self._clock.now().wall
        if not now < until <= now + LONGEST_PAUSE:
            raise bad_field("until", "expected a time from now on, at most 31 days ahead")
        return until

    async def _ask(self, verb: Verb, asked: Asked, context: Any, until: float | None = None) -> v1.Answer:
        key, reason = key_of(asked.key), reason_of(asked.reason)
        who = who_asks(self._identity, asked.on_behalf_of)
        if await self._offload(self._app.environment, key) is None:
            raise not_found("environment", asked.key)
        request = await self._offload(self._app.submit, key, verb, who, reason, until)
        answer = await self._answer(request, context)
        if answer is None:
            text = f"{verb} is stored, and will be decided on by the next look at {key}"
            return v1.Answer(request=request, accepted=True, pending=True, message=text)
        return v1.Answer(request=request, accepted=answer.accepted, message=answer.message)

    async def _answer(self, request: int, context: Any) -> Answer | None:
        remaining = context.time_remaining()
        patience = PATIENCE if remaining is None else max(0.0, min(PATIENCE, remaining - MARGIN))
        try:
            async with asyncio.timeout(patience):
                # The answer is a row in the store, written by whatever decides on the key: nobody here can be told of it.
                while (answer := await self._offload(self._app.store.answer, request)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(ASK_AGAIN)
        except TimeoutError:
            return None
        return answer
