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

from reconciler.api.address import parse_address
from reconciler.api.connections import Bounds, Connections, Reply, plain, serve_connections
from reconciler.api.server import StopSignal

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that a whole exchange may take, however slowly the other side reads or writes."""
MOST_CONNECTIONS = 64
JSON = "application/json"
HOST = re.compile(rb"\r\nhost:[ \t]*(?:\[([^\]\r]*)\]|([^:\r]*?))(?::\d*)?[ \t]*(?=\r\n)", re.IGNORECASE)


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
            return plain(HTTPStatus.BAD_REQUEST), False
        method, path = parts[0], parts[1].split(b"?", 1)[0]
        if method not in {b"GET", b"HEAD"}:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED), False
        if not any_host and not _names_this_machine(head):
            return plain(HTTPStatus.FORBIDDEN), method == b"HEAD"
        return self._page(path), method == b"HEAD"

    def _page(self, path: bytes) -> Reply:
        if path == b"/metrics":
            return Reply(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.registry))
        if path == b"/healthz":
            return plain(HTTPStatus.OK)
        if path == b"/readyz":
            reasons = self.unready()
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            return Reply(status, JSON, json.dumps({"ready": not reasons, "reasons": reasons}).encode() + b"\n")
        return plain(HTTPStatus.NOT_FOUND)


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
    where = parse_address(address)
    if not where.local:
        log.warning("metrics are served in clear text, to everybody who reaches %s", where)
    any_host = not where.local or bool(where.socket)

    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> bytes:
        return await _answer(pages, reader, any_host=any_host)

    connections = Connections(answer, Bounds(MOST_CONNECTIONS, PATIENCE))
    asyncio.run(serve_connections(where, connections, ready, stop))


async def _answer(pages: Pages, reader: asyncio.StreamReader, *, any_host: bool) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE).encode(head=False)
    try:
        reply, bodiless = pages.reply(head, any_host=any_host)
    except Exception:
        log.exception("a page could not be made")
        reply, bodiless = plain(HTTPStatus.INTERNAL_SERVER_ERROR), False
    return reply.encode(head=bodiless)
