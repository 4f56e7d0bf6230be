"""Posts each event as signed JSON to one configured URL.

Nothing in an event chooses where it goes. Redirects are not followed, proxies of the environment not used, and one try never
takes longer than ``timeout`` (name resolution aside), however slowly the server answers.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from reconciler.core.digest import canonical
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.secret import Secret
from reconciler.ports import Clock, Event, Notifier, NotifierKind
from reconciler.secretfile import read_secret

LARGEST_ANSWER = 65_536
"""Bytes of an answer that are read; the rest is dropped with the connection."""
LONGEST_PAUSE = 600.0
"""Seconds up to which a server's Retry-After is honoured."""
WORTH_A_RETRY = frozenset({408, 425, 429})
SIGNATURE = "X-ProdSprint-Signature"


class WebhookConfig(BaseModel):
    """Settings of the ``webhook`` notifier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="Where events are posted: https://, or http:// within a network you trust.")
    secret_file: Path | None = Field(
        default=None, description="File with the secret that signs; none leaves events unsigned."
    )
    ca_file: Path | None = Field(default=None, description="Certificate authorities to accept instead of the system's.")
    timeout: float = Field(default=10.0, gt=0, le=60, description="Seconds that one try may take in all.")

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        if not url.isprintable() or " " in url:
            raise ValueError("expected a URL without spaces and control characters")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or (parts.port or 1) < 1:
            raise ValueError("expected https://host/path")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise ValueError("expected no user, password or fragment in the URL; events are signed with secret_file")
        return url


class Webhook:
    """One URL. Not for several threads at once."""

    def __init__(self, config: WebhookConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._url = urlsplit(config.url)
        self._tls = _context(config.ca_file) if self._url.scheme == "https" else None
        self._until = 0.0
        """Boot-time seconds before which the server asked not to be called."""
        self._secret()

    def send(self, event: Event) -> None:
        """Post an event. Raises TransientError for no answer, 408, 425, 429 and 5xx, TerminalError for all but 2xx."""
        now = self._clock.now()
        if now.mono < self._until:
            raise TransientError(f"{self._where} asked to be left alone for {self._until - now.mono:.0f} s more")
        body = payload(event)
        try:
            status, pause = self._post(body, self._headers(event, body, int(now.wall)), now.mono + self._config.timeout)
        except (OSError, HTTPException) as error:
            raise TransientError(f"{self._where}: {str(error) or type(error).__name__}") from None
        if 200 <= status < 300:
            return
        if status in WORTH_A_RETRY or status >= 500:
            self._until = now.mono + pause
            raise TransientError(f"{self._where} answered {status}")
        raise TerminalError(f"{self._where} answered {status}{'; redirects are not followed' if status < 400 else ''}")

    def close(self) -> None:
        """Nothing is held: each event has a connection of its own."""

    @property
    def _where(self) -> str:
        """Host for messages; paths and queries of webhooks often are secrets."""
        return f"webhook on {self._url.hostname}"

    def _secret(self) -> Secret | None:
        return read_secret(self._config.secret_file) if self._config.secret_file else None

    def _headers(self, event: Event, body: bytes, at: int) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "prodsprint", "Connection": "close"}
        headers["X-ProdSprint-Event"] = str(event.id)
        try:
            secret = self._secret()
        except TerminalError as error:
            raise TransientError(str(error)) from None  # gone for a while must not make every event a dead letter
        return {**headers, SIGNATURE: sign(secret, at, body)} if secret else headers

    def _post(self, body: bytes, headers: dict[str, str], deadline: float) -> tuple[int, float]:
        """Status of the answer, and the seconds that it asks to wait."""
        host, port, timeout = self._url.hostname or "", self._url.port, self._config.timeout
        plain = HTTPConnection(host, port, timeout=timeout)
        connection = HTTPSConnection(host, port, timeout=timeout, context=self._tls) if self._tls else plain
        target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        try:
            connection.request("POST", target, body, headers)
            timed = _Timed(connection.sock, self._clock, deadline)
            response = HTTPResponse(cast("socket.socket", timed), method="POST")
            with response:
                response.begin()
                response.read(LARGEST_ANSWER)
                return response.status, _pause(response.getheader("Retry-After", ""))
        finally:
            connection.close()


def payload(event: Event) -> bytes:
    """The posted JSON: the same bytes at every try."""
    try:
        body = json.loads(event.body)
    except ValueError:
        body = event.body
    time = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return canonical({"id": event.id, "type": event.type, "key": event.key, "time": time, "body": body}).encode()


def sign(secret: Secret, at: int, body: bytes) -> str:
    """``t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">``: what a receiver checks and how old it may be."""
    digest = hmac.new(secret.reveal().encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _pause(text: str) -> float:
    """Seconds of a Retry-After header; 0 for none, or for one that is a date."""
    return min(float(text), LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise TerminalError(f"ca_file {ca_file}: {error.strerror or error}") from None


class _Timed(RawIOBase):
    """Reads a socket under one deadline for all reads, which a socket's own timeout is not."""

    def __init__(self, sock: socket.socket, clock: Clock, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._clock = clock
        self._deadline = deadline

    def makefile(self, _mode: str) -> BufferedReader:
        """The one thing HTTPResponse asks of a socket."""
        return BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        left = self._deadline - self._clock.now().mono
        if left <= 0:
            raise TimeoutError("no whole answer in time")
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)  # type: ignore[arg-type]


def _open(config: BaseModel, clock: Clock) -> Notifier:
    return Webhook(cast("WebhookConfig", config), clock)


KIND = NotifierKind("webhook", WebhookConfig, _open)
