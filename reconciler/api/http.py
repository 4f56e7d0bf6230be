"""/metrics, /healthz and /readyz over HTTP: reads of three fixed paths, and nothing else."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from reconciler.api.address import Address, parse_address
from reconciler.api.server import StopSignal
from reconciler.core.outcome import TerminalError

log = logging.getLogger(__name__)

LARGEST_REQUEST = 16 * 1024
PATIENCE = 5.0
"""Seconds that a whole exchange may take, however slowly the other side reads or writes."""
MOST_CONNECTIONS = 64
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
HOST = re.compile(rb"\r\nhost:[ \t]*(?:\[([^\]\r]*)\]|([^:\r]*?))(?::\d*)?[ \t]*(?=\r\n)", re.IGNORECASE)


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


def _plain(status: HTTPStatus) -> Reply:
    return Reply(status, TEXT, f"{status.phrase}\n".encode("ascii"))


@dataclass(slots=True)
class Pages:
    """The three pages. ``unready`` gives what keeps the daemon from working: nothing when it works."""

    registry: CollectorRegistry
    unready: Callable[[], tuple[str, ...]]

    def reply(self, head: bytes, *, any_host: bool = False) -> tuple[Reply, bool]:
        """The answer to a request's head, and whether its body is to be left out.

        Unless ``any_host``, a browser that was told that some name stands for this machine is turned away.
        """
        parts = head.split(b"\r\n", 1)[0].split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            return _plain(HTTPStatus.BAD_REQUEST), False
        method, path = parts[0], parts[1].split(b"?", 1)[0]
        if method not in {b"GET", b"HEAD"}:
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED), False
        if not any_host and not _names_this_machine(head):
            return _plain(HTTPStatus.FORBIDDEN), method == b"HEAD"
        return self._page(path), method == b"HEAD"

    def _page(self, path: bytes) -> Reply:
        if path == b"/metrics":
            return Reply(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.registry))
        if path == b"/healthz":
            return _plain(HTTPStatus.OK)
        if path == b"/readyz":
            reasons = self.unready()
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            return Reply(status, JSON, json.dumps({"ready": not reasons, "reasons": reasons}).encode() + b"\n")
        return _plain(HTTPStatus.NOT_FOUND)


def _names_this_machine(head: bytes) -> bool:
    """Whether the request's Host, where it has one, is ``localhost`` or an IP address: no name server has a say in these."""
    named = head.lower().count(b"\r\nhost")
    found = [(literal or name).decode("latin-1").lower() for literal, name in HOST.findall(head)]
    return named == len(found) and all(one == "localhost" or _is_address(one) for one in found)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def serve_http(pages: Pages, address: str, ready: Callable[[str], None], stop: StopSignal) -> None:
    """Serve until ``stop`` is set; blocks. ``ready`` gets the address once requests are answered.

    Raises TerminalError when the address cannot be listened on.
    """

    async def main() -> None:
        where = parse_address(address)
        if not where.local:
            log.warning("metrics are served in clear text, to everybody who reaches %s", where)
        connections = _Connections(pages, any_host=not where.local or bool(where.socket))
        server = await _listen(where, connections)
        async with server:
            ready(_bound(where, server))
            loop = asyncio.get_running_loop()
            while not await loop.run_in_executor(None, stop.wait, 0.5):
                pass

    asyncio.run(main())


async def _listen(where: Address, connections: _Connections) -> asyncio.Server:
    try:
        if where.socket:
            return await asyncio.start_unix_server(connections.serve, where.socket, limit=LARGEST_REQUEST)
        return await asyncio.start_server(connections.serve, where.host, where.port, limit=LARGEST_REQUEST)
    except OSError as error:
        raise TerminalError(f"cannot listen on {where}: {error.strerror or error}") from error


def _bound(where: Address, server: asyncio.Server) -> str:
    if where.socket:
        return str(where)
    return str(Address(where.host, server.sockets[0].getsockname()[1]))


class _Connections:
    """One exchange a connection, bounded in number, size and time."""

    def __init__(self, pages: Pages, *, any_host: bool) -> None:
        self._pages, self._any_host = pages, any_host
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._open += 1
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(await self._answer(reader))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            log.debug("a connection ended early")
        finally:
            self._open -= 1
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE).encode(head=False)
        try:
            reply, bodiless = self._pages.reply(head, any_host=self._any_host)
        except Exception:
            log.exception("a page could not be made")
            reply, bodiless = _plain(HTTPStatus.INTERNAL_SERVER_ERROR), False
        return reply.encode(head=bodiless)
