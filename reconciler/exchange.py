"""One HTTP request to a server that may be slow, long-winded or broken: one deadline, a bounded answer."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from reconciler.core.outcome import TransientError
from reconciler.ports import Clock

CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Call:
    """What to ask, and how much patience and memory the answer is worth. With a ``body`` it is a POST of a form."""

    target: str
    """Path and query."""
    timeout: float
    """Seconds for everything but the name look-up: connecting, TLS, sending, reading."""
    most: int
    """Bytes that the whole answer may have."""
    headers: Mapping[str, str] | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and the whole body. The peer is the server's process id, for a Unix socket on this machine, else 0."""

    status: int
    body: bytes
    peer: int = 0


class _Patience:
    """Gives a socket only as much time as is left of the whole."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds, self._started = clock, seconds, clock.now()

    def left(self) -> float:
        """Seconds, more than 0. Raises TimeoutError when there are none."""
        left = self._seconds - self._clock.now().since(self._started)
        if left <= 0:
            raise TimeoutError(f"no whole answer within {self._seconds:g} s")
        return left


def over_unix_socket(path: Path, call: Call, clock: Clock) -> Answer:
    """Ask a server on a Unix socket. Raises TransientError for whatever keeps it from answering whole and in time."""
    patience = _Patience(clock, call.timeout)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(patience.left())
            connection.connect(str(path))
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            status, body = _converse(connection, "localhost", call, patience)
            return Answer(status, body, int.from_bytes(peer[:4], "little"))
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(_words(error, call)) from error


def over_network(base: str, call: Call, clock: Clock, tls: ssl.SSLContext | None = None) -> Answer:
    """Ask a server at a ``http`` or ``https`` URL; redirects are not followed.

    Raises TransientError for whatever keeps it from answering whole and in time.
    """
    url = urlsplit(base)
    secure = url.scheme == "https"
    host = url.hostname or ""
    patience = _Patience(clock, call.timeout)
    try:
        plain = socket.create_connection((host, url.port or (443 if secure else 80)), patience.left())
        with _secured(plain, host, tls) if secure else plain as connection:
            return Answer(*_converse(connection, url.netloc, call, patience))
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(_words(error, call)) from error


def _secured(plain: socket.socket, host: str, tls: ssl.SSLContext | None) -> socket.socket:
    try:
        return (tls or ssl.create_default_context()).wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _converse(connection: socket.socket, host: str, call: Call, patience: _Patience) -> tuple[int, bytes]:
    """Send the request and read to the end of the connection: the server is asked to close it."""
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(call.body))}
    headers = {"Host": host, "Connection": "close", **(kind if call.body else {}), **(call.headers or {})}
    lines = [f"{'POST' if call.body else 'GET'} {call.target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    connection.settimeout(patience.left())
    connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + call.body)
    heard = bytearray()
    while True:
        connection.settimeout(patience.left())
        chunk = connection.recv(CHUNK)
        if not chunk:
            break
        heard += chunk
        if len(heard) > call.most:
            raise http.client.HTTPException(f"the answer is larger than {call.most} bytes")
    return _parse(bytes(heard))


def _parse(heard: bytes) -> tuple[int, bytes]:
    with http.client.HTTPResponse(_Heard(heard)) as response:  # type: ignore[arg-type]  # it only calls makefile()
        response.begin()
        return response.status, response.read()


class _Heard:
    """What was read, in the form of the socket that ``http.client`` parses answers from."""

    def __init__(self, heard: bytes) -> None:
        self._heard = heard

    def makefile(self, _mode: str) -> IO[bytes]:
        return io.BytesIO(self._heard)


def _words(error: Exception, call: Call) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut off"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.BadStatusLine):
        return "the answer is not HTTP"
    if isinstance(error, TimeoutError):
        return f"no whole answer within {call.timeout:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
