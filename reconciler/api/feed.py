"""What happens, for those who watch. A watcher has no queue but a cursor: slow ones read from the store what they missed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import grpc

from reconciler.api.errors import refused
from reconciler.api.offload import Offload
from reconciler.ports import AuditEntry, Store

log = logging.getLogger(__name__)

BATCH = 256
KEPT = 1024
"""Newest entries that are kept in memory for all watchers together."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What a watcher wants to hear of; everything where a field is empty."""

    workspace: str = ""
    key: str = ""

    def covers(self, entry: AuditEntry) -> bool:
        """Whether the watcher wants this one."""
        return self.workspace in {"", entry.workspace} and self.key in {"", entry.key}


Step = tuple[int, AuditEntry | None]
"""Where to resume from, and the entry; None for a heartbeat."""


class Feed:
    """One reader of the audit for any number of watchers. Nothing runs while nobody watches."""

    def __init__(self, store: Store, offload: Offload, *, most: int, heartbeat: float, poll: float) -> None:
        self._store = store
        self._offload = offload
        self._most = most
        self._heartbeat = heartbeat
        self._poll = poll
        self._recent: deque[AuditEntry] = deque()
        self._floor = 0
        """``_recent`` holds every entry after this id, up to ``_head``."""
        self._head = 0
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False
        self.watchers = 0

    async def follow(self, cursor: int | None, interest: Interest) -> AsyncGenerator[Step, None]:
        """Every entry of interest after the cursor, and heartbeats in between, first of all one. None begins now.

        Raises RefusedError: too many watchers, a cursor from the future, or the daemon stops.
        """
        if self.watchers >= self._most:
            raise refused(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHES", f"{self._most} watches are open already"
            )
        self.watchers += 1
        try:
            start = await self._begin(cursor)
            yield start, None
            async for step in self._steps(start, interest):
                yield step
        finally:
            self.watchers -= 1
            if not self.watchers and self._reader is not None:
                self._reader.cancel()
                self._reader = None

    def stop(self) -> None:
        """End every watch, now and from now on."""
        self._stopping = True
        self._notify()

    async def _begin(self, cursor: int | None) -> int:
        head = await self._offload(self._store.head)
        if self._reader is None:
            self._recent.clear()
            self._floor = self._head = head
            self._reader = asyncio.create_task(self._read())
        if cursor is not None and cursor > head:
            text = f"the newest event is {head}: cursor {cursor} comes from another data directory; begin again"
            raise refused(grpc.StatusCode.OUT_OF_RANGE, "CURSOR_AHEAD", text)
        return head if cursor is None else cursor

    async def _steps(self, cursor: int, interest: Interest) -> AsyncIterator[Step]:
        loop = asyncio.get_running_loop()
        heartbeat = loop.time() + self._heartbeat
        while True:
            if self._stopping:
                text = "the daemon is stopping; resume from the last cursor"
                raise refused(grpc.StatusCode.UNAVAILABLE, "STOPPING", text)
            changed, reached = self._changed, self._head
            if cursor < self._floor:
                entries = await self._offload(self._store.events, cursor, BATCH, interest.workspace, interest.key)
                full = len(entries) == BATCH
            else:
                entries = tuple(one for one in self._recent if one.id > cursor and interest.covers(one))
                full = False
            for entry in entries:
                yield entry.id, entry
                heartbeat = loop.time() + self._heartbeat
            cursor = max(cursor, entries[-1].id if entries else 0, 0 if full else reached)
            if cursor >= self._head and not await _before(heartbeat, changed):
                yield cursor, None
                heartbeat = loop.time() + self._heartbeat

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _read(self) -> None:
        """Fetch what is new for all watchers at once."""
        while True:
            try:
                entries = await self._offload(self._store.events, self._head, BATCH)
            except Exception:  # whatever it is: watchers wait, and the next look may work
                log.exception("the audit cannot be read for watchers")
                await asyncio.sleep(self._heartbeat)
                continue
            if entries:
                self._keep(entries)
            if len(entries) < BATCH:
                await asyncio.sleep(self._poll)

    def _keep(self, entries: tuple[AuditEntry, ...]) -> None:
        self._recent.extend(entries)
        self._head = entries[-1].id
        while len(self._recent) > KEPT:
            self._floor = self._recent.popleft().id
        self._notify()


async def _before(deadline: float, changed: asyncio.Event) -> bool:
    """Whether something happened before that time of the loop's clock."""
    try:
        async with asyncio.timeout_at(deadline):
            await changed.wait()
    except TimeoutError:
        return False
    return True
