"""HTTP connections of one exchange each, bounded in number, size and time, whatever the other side does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from reconciler.api.address import Address
from reconciler.api.server import StopSignal
from reconciler.core.outcome import TerminalError

log = logging.getLogger(__name__)

LARGEST_HEAD = 16 * 1024
TEXT = "text/plain; charset=utf-8"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]
"""Reads a request, and gives the bytes to send."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, content type and body of one answer."""

    status: HTTPStatus
    kind: str
    body: bytes

    def encode(self, *, head: bool) -> bytes:
        """The bytes that are sent; a HEAD request gets no body."""
        lines = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.kind}",
            f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        )
        return "\r\n".join((*lines, "", "")).encode("ascii") + (b"" if head else self.body)


def plain(status: HTTPStatus) -> Reply:
    """A reply that says its status in words."""
    return Reply(status, TEXT, f"{status.phrase}\n".encode("ascii"))


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many connections there may be, and the seconds that each may take, however slowly the other side works.

    With ``give_way``, the oldest connection makes room for one too many; otherwise the newest is turned away.
    """

    most: int
    patience: float
    give_way: bool = False


class Connections:
    """Answers each connection once."""

    def __init__(self, answer: Answer, bounds: Bounds) -> None:
        self._answer, self._bounds = answer, bounds
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        if len(self._open) >= self._bounds.most and not self._make_room():
            writer.transport.abort()
            return
        self._open[writer] = None
        try:
            async with asyncio.timeout(self._bounds.patience):
                writer.write(await self._answer(reader, writer))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            log.debug("a connection ended early")
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()

    def _make_room(self) -> bool:
        if not self._bounds.give_way:
            return False
        oldest = next(iter(self._open))
        del self._open[oldest]
        oldest.transport.abort()
        return True


async def serve_connections(
    where: Address, connections: Connections, ready: Callable[[str], None], stop: StopSignal
) -> None:
    """Serve until ``stop`` is set. ``ready`` gets the address. Raises TerminalError when it cannot be listened on."""
    server = await _listen(where, connections)
    async with server:
        ready(_bound(where, server))
        loop = asyncio.get_running_loop()
        while not await loop.run_in_executor(None, stop.wait, 0.5):
            pass


async def _listen(where: Address, connections: Connections) -> asyncio.Server:
    try:
        if where.socket:
            return await asyncio.start_unix_server(connections.serve, where.socket, limit=LARGEST_HEAD)
        return await asyncio.start_server(connections.serve, where.host, where.port, limit=LARGEST_HEAD)
    except OSError as error:
        raise TerminalError(f"cannot listen on {where}: {error.strerror or error}") from error


def _bound(where: Address, server: asyncio.Server) -> str:
    if where.socket:
        return str(where)
    return str(Address(where.host, server.sockets[0].getsockname()[1]))
