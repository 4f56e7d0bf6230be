"""Asks an http(s) server for a repo's refs: one request, over a connection that stays open.

Git's protocol version 2 names the refs it wants, so that the answer does not grow with the repo; a server that knows only the
older protocol answers with all of them. Whatever looks odd is left to libgit2.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from reconciler.source.job import Job, Quota
from reconciler.source.quota import quota
from reconciler.source.reflist import Look, speaks_newer
from reconciler.source.trouble import Away, Busy, Odd, Refused, TooLarge

LARGEST = 32 << 20
"""Bytes that a list of refs may have."""
MOST_CONNECTIONS = 64
STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)
"""How a connection fails that the server closed while nobody used it."""
ADVERTISED = "application/x-git-upload-pack-advertisement"
RESULT = "application/x-git-upload-pack-result"


class Web:
    """The connections of one process. ``ca`` names the only file of certificate authorities to accept, if any."""

    def __init__(self, ca: str = "") -> None:
        self._ca = ca
        self._tls: ssl.SSLContext | None = None
        self._open: dict[tuple[str, str], http.client.HTTPConnection] = {}
        self._newer: dict[tuple[str, str], set[str]] = {}
        """Repos whose server speaks version 2, as long as its connection stays open."""
        self.quota = Quota()
        """What the last answer said."""

    def look(self, job: Job, answered: Callable[[], None]) -> Look:
        """The refs that a job wants; ``answered`` is called when the server says something.

        Raises Away, Busy, Refused, TooLarge, OSError, and Odd for what only libgit2 may understand.
        """
        self.quota = Quota()
        try:
            parts = urlsplit(job.url)
            return self._look(job, parts, answered)
        except ssl.SSLError:
            raise  # some of these are ValueErrors too
        except (http.client.HTTPException, ValueError) as error:
            raise Odd(str(error)) from error

    def close(self) -> None:
        """Close every connection."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()
        self._newer.clear()

    def _look(self, job: Job, parts: SplitResult, answered: Callable[[], None]) -> Look:
        asked = _Asked(job, parts, answered)
        if job.url not in self._newer.get(asked.place, ()):
            kind, body = self._ask(asked, "GET", "/info/refs?service=git-upload-pack")
            if kind != ADVERTISED:
                raise Odd(f"content type {kind!r}")
            if not speaks_newer(body):
                return Look(body, newer=False)
            self._newer.setdefault(asked.place, set()).add(job.url)
        kind, body = self._ask(asked, "POST", "/git-upload-pack", _question(job.branches))
        if kind != RESULT:
            raise Odd(f"content type {kind!r}")
        return Look(body, newer=True)

    def _ask(self, asked: _Asked, method: str, target: str, body: bytes | None = None) -> tuple[str, bytes]:
        """Content type and body of a good answer."""
        reused = asked.place in self._open
        try:
            try:
                answer = self._converse(asked, method, target, body)
            except STALE:
                if not reused:
                    raise
                self._drop(asked.place)
                answer = self._converse(asked, method, target, body)
            return self._judged(answer, asked)
        except BaseException:
            self._drop(asked.place)
            raise

    def _converse(self, asked: _Asked, method: str, target: str, body: bytes | None) -> http.client.HTTPResponse:
        connection = self._connection(asked)
        connection.request(method, asked.parts.path + target, body, asked.headers(body))
        answer = connection.getresponse()
        asked.answered()
        return answer

    def _judged(self, answer: http.client.HTTPResponse, asked: _Asked) -> tuple[str, bytes]:
        self.quota = quota(dict(answer.headers.items()))
        body = answer.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise TooLarge(f"the server's list of refs is larger than {LARGEST >> 20} MiB")
        _judge(answer.status, self.quota, asked.job)
        if answer.length:
            raise Odd("an answer that is cut off")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise Odd("compressed answer")
        return answer.headers.get_content_type(), body

    def _connection(self, asked: _Asked) -> http.client.HTTPConnection:
        if asked.place in self._open:
            return self._open[asked.place]
        if len(self._open) >= MOST_CONNECTIONS:
            self.close()
        host, port, patience = asked.parts.hostname or "", asked.parts.port, asked.job.deadline * 0.9
        connection = (
            http.client.HTTPSConnection(host, port, timeout=patience, context=self._context())
            if asked.parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=patience)
        )
        try:
            connection.connect()
        except ssl.SSLError:
            raise
        except socket.gaierror as error:
            raise Away(f"failed to resolve {host}: {error.strerror}") from error
        except OSError as error:
            raise Away(f"failed to connect to {host}: {error.strerror or error}") from error
        self._open[asked.place] = connection
        return connection

    def _context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context(cafile=self._ca or None)
        return self._tls

    def _drop(self, place: tuple[str, str]) -> None:
        connection = self._open.pop(place, None)
        if connection is not None:
            connection.close()
        self._newer.pop(place, None)


@dataclass(frozen=True, slots=True)
class _Asked:
    job: Job
    parts: SplitResult
    answered: Callable[[], None]

    @property
    def place(self) -> tuple[str, str]:
        """Scheme and host with port."""
        return self.parts.scheme, self.parts.netloc.rpartition("@")[2]

    def headers(self, body: bytes | None) -> dict[str, str]:
        found = {"Git-Protocol": "version=2", "User-Agent": "git/2 prodsprint", "Accept": "*/*"}
        if body is not None:
            found |= {"Content-Type": "application/x-git-upload-pack-request", "Accept": RESULT}
        if self.job.token:
            pair = f"{self.job.username}:{self.job.token}".encode()
            found["Authorization"] = f"Basic {b64encode(pair).decode()}"
        return found


def _judge(status: int, said: Quota, job: Job) -> None:
    if status == 200:
        return
    if 300 <= status < 400:
        raise Refused("the server sends us to another address, which is not followed; use the new address")
    if status in {429, 503} or (status == 403 and (said.wait or said.remaining == 0)):
        raise Busy(status, said.wait)
    if status == 401 and not job.token:
        raise Refused("the server asks for credentials, and none that fit are configured")
    raise OSError(f"unexpected http status code: {status}")


def _question(branches: tuple[str, ...]) -> bytes:
    named = [f"refs/heads/{branch}" for branch in branches if branch]  # HEAD says all about the default branch
    lines = [
        "symrefs",
        *(f"ref-prefix {name}" for name in ["HEAD", *(named if branches else ["refs/heads/", "refs/tags/"])]),
    ]
    head = _packet("command=ls-refs\n") + _packet("agent=git/2-prodsprint\n") + _packet("object-format=sha1\n")
    return head + b"0001" + b"".join(_packet(f"{line}\n") for line in lines) + b"0000"


def _packet(text: str) -> bytes:
    data = text.encode()
    return b"%04x%s" % (len(data) + 4, data)
