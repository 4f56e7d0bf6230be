"""The gRPC server: an event loop of its own on a thread of the daemon's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prodsprint import v1
from prodsprint.v1 import control_pb2, status_pb2

from reconciler.api.address import Address, parse_address
from reconciler.api.application import Application
from reconciler.api.auth import Authenticator, open_token
from reconciler.api.control import ControlService
from reconciler.api.feed import Feed
from reconciler.api.guard import Count, Guard
from reconciler.api.offload import Offload
from reconciler.api.status import StatusService
from reconciler.core.outcome import TerminalError
from reconciler.ports import Clock

SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in ((status_pb2, "StatusService"), (control_pb2, "ControlService"))
)
GRACE = 0.5
"""Seconds that calls in progress get when the server stops."""
LARGEST_MESSAGE = 4 * 1024 * 1024
MOST_CALLS = 2048
"""Calls in progress on all connections; more are refused with RESOURCE_EXHAUSTED."""
OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second daemon on the same port has to fail, not to share it
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", 1024),
    ("grpc.max_connection_idle_ms", 30 * 60 * 1000),
    ("grpc.keepalive_time_ms", 60 * 1000),
    ("grpc.keepalive_timeout_ms", 20 * 1000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10 * 1000),
)


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where to listen and how much to bear. Durations are seconds."""

    address: str
    """``host:port`` (port 0 takes a free one) or ``unix:/path``."""
    token_file: Path
    tls_cert: Path | None = None
    tls_key: Path | None = None
    watches: int = 1000
    """Most watches that are open at the same time."""
    heartbeat: float = 15.0
    """Between two messages of a watch that has nothing to say."""
    poll: float = 0.2
    """Between two looks for new events while somebody watches."""
    threads: int = 4
    """Blocking calls at the same time."""


class StopSignal(Protocol):
    """What ``serve`` needs of a ``threading.Event``."""

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is set, at most that many seconds, and say whether it is."""
        ...


def serve(
    app: Application,
    settings: ApiSettings,
    clock: Clock,
    ready: Callable[[str], None],
    stop: StopSignal,
    count: Count = lambda _method, _code: None,
) -> None:
    """Serve until ``stop`` is set; blocks. ``ready`` gets the address once calls are answered.

    Raises TerminalError when the address, the token file or the certificate will not do.
    """

    async def main() -> None:
        server = ApiServer(app, settings, clock, count)
        ready(await server.start())
        loop = asyncio.get_running_loop()
        while not await loop.run_in_executor(None, stop.wait, 0.5):
            pass
        await server.stop()

    asyncio.run(main())


class ApiServer:
    """The server within a running event loop."""

    def __init__(self, app: Application, settings: ApiSettings, clock: Clock, count: Count) -> None:
        self._address = parse_address(settings.address)
        self._credentials = _credentials(self._address, settings)
        authenticator = open_token(settings.token_file)
        self._offload = Offload(settings.threads)
        self._feed = Feed(
            app.store, self._offload, most=settings.watches, heartbeat=settings.heartbeat, poll=settings.poll
        )
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[Guard(authenticator, count)], options=OPTIONS, maximum_concurrent_rpcs=MOST_CALLS
        )
        self._register(app, clock, authenticator)

    def _register(self, app: Application, clock: Clock, authenticator: Authenticator) -> None:
        v1.add_StatusServiceServicer_to_server(StatusService(app, self._offload, self._feed), self._server)
        control = ControlService(app, self._offload, clock, authenticator.identity)
        v1.add_ControlServiceServicer_to_server(control, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def start(self) -> str:
        """Listen, and return the address that clients use. Raises TerminalError when that is not possible."""
        address = await self._listen()
        await self._server.start()
        for name in ("", *SERVICES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return address

    async def _listen(self) -> str:
        text = str(self._address)
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(text)
            else:
                port = self._server.add_secure_port(text, self._credentials)
        except RuntimeError as error:
            await self.stop()
            raise TerminalError(f"cannot listen on {text}: is another daemon running, or the port taken?") from error
        return self._bound(port)

    def _bound(self, port: int) -> str:
        if self._address.socket:
            Path(self._address.socket).chmod(0o600)
            return str(self._address)
        return str(replace(self._address, port=port))

    async def stop(self, grace: float = GRACE) -> None:
        """End watches, let other calls finish for ``grace`` seconds, then end them too."""
        await self._health.enter_graceful_shutdown()
        self._feed.stop()
        await self._server.stop(grace)
        self._offload.close()


def _credentials(address: Address, settings: ApiSettings) -> grpc.ServerCredentials | None:
    """TLS, where it is asked for; required for every address that other machines reach."""
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None and key is None:
        if not address.local:
            text = f"refusing to listen on {address} without TLS: other machines reach it, and would send the token in clear"
            raise TerminalError(f"{text}; give a certificate and a key, or listen on 127.0.0.1")
        return None
    if cert is None or key is None:
        raise TerminalError("TLS needs both a certificate and a key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
        pair = (key.read_bytes(), cert.read_bytes())
    except (OSError, ssl.SSLError) as error:
        raise TerminalError(f"TLS certificate {cert} with key {key}: {error.strerror or error}") from error
    return grpc.ssl_server_credentials([pair])
