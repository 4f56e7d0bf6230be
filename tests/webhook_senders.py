"""What the forges send, and what others send in their name; over real sockets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager

from reconciler.api.webhooks import Hooks, serve_webhooks
from reconciler.clock import SystemClock

SECRET = "a-secret-of-the-shop-repo"
PUSH = json.dumps({"ref": "refs/heads/main", "after": "4" * 40, "repository": {"clone_url": "https://h/x"}}).encode()
REFUSED = (
    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n"
    b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nUnauthorized\n"
)


def digest(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard(body: bytes, secret: bytes, at: float, identifier: str = "msg_1") -> dict[str, str]:
    """The fields that GitLab signs with a signing token."""
    signed = f"{identifier}.{int(at)}.".encode() + body
    value = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": identifier, "webhook-timestamp": str(int(at)), "webhook-signature": f"v1,{value}"}


def proof(forge: str, body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The fields with which a forge proves a body."""
    code = digest(body, secret)
    return {
        "github": {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={code}"},
        "gitlab": {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret},
        "gitea": {"X-Gitea-Event": "push", "X-Gitea-Signature": code},
        "forgejo": {"X-Forgejo-Event": "push", "X-Forgejo-Signature": code, "X-Gitea-Signature": code},
        "bitbucket": {"X-Event-Key": "repo:push", "X-Hub-Signature": f"sha256={code}"},
    }[forge]


def request(path: str, fields: dict[str, str], body: bytes = b"", method: str = "POST") -> bytes:
    """The bytes of a request; its length is added unless ``fields`` say how the body ends."""
    framed = {"content-length", "transfer-encoding"} & {name.lower() for name in fields}
    lines = {"Host": "daemon", **fields, **({} if framed else {"Content-Length": str(len(body))})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


class Server:
    """A served ``Hooks``: what was polled, and when; what was counted."""

    def __init__(self, repos) -> None:
        self.polled: list[str] = []
        self.at: list[float] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.hooks = Hooks(tuple(repos), self._poll, SystemClock(), self._count)
        self.where = ("", 0)

    def _poll(self, url: str) -> None:
        self.at.append(time.perf_counter())
        self.polled.append(url)

    def _count(self, forge: str, outcome: str) -> None:
        self.counts[str(forge), str(outcome)] += 1

    def raw(self, data: bytes, source: str = "127.0.0.1") -> bytes:
        """Send bytes; everything that is answered."""
        with socket.create_connection(self.where, timeout=20, source_address=(source, 0)) as line:
            got = b""
            try:
                line.sendall(data)
                while piece := line.recv(65536):
                    got += piece
            except (ConnectionResetError, BrokenPipeError):
                pass
            return got

    def post(self, forge: str, body: bytes = PUSH, fields: dict[str, str] | None = None, name: str = "") -> int:
        """Send a webhook as the forge does; the status."""
        path = f"/webhooks/{forge}" + (f"/{name}" if name else "")
        answer = self.raw(request(path, proof(forge, body) if fields is None else fields, body))
        return int(answer.split(b" ")[1]) if answer else 0


@contextmanager
def serving(*repos):
    server = Server(repos)
    stop, up, found = threading.Event(), threading.Event(), []

    def run():
        serve_webhooks(server.hooks, "127.0.0.1:0", lambda where: (found.append(where), up.set()), stop)

    thread = threading.Thread(target=run)
    thread.start()
    assert up.wait(10)
    host, _, port = found[0].rpartition(":")
    server.where = (host, int(port))
    try:
        yield server
    finally:
        stop.set()
        thread.join(5)
        assert not thread.is_alive()
