"""Real HTTP servers and clients for tests of what stands between them."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        backend: Backend = self.server.backend  # type: ignore[attr-defined]
        backend.headers = dict(self.headers)
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
        if self.path in {"/reset", "/cut"}:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.path == "/wait":
            backend.waiting.set()
            backend.release.wait(20)
        body = backend.name.encode()
        self.send_response(500 if self.path == "/fail" else 503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        pass  # a client that hangs up is part of the tests


class Backend:
    """An HTTP server that answers with its name. ``/fail`` 500, ``/busy`` 503, ``/reset`` no answer, ``/cut`` half of one.

    ``/wait`` sets ``waiting`` and answers when ``release`` is set.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting, self.release = threading.Event(), threading.Event()
        self.headers: dict[str, str] = {}
        self._server = _Server((HOST, 0), _Handler)
        self._server.backend = self  # type: ignore[attr-defined]
        self.port = self._server.server_port
        self.endpoint = f"{HOST}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop accepting; connections that are open go on."""
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def get(port: int, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """One request over a connection of its own: status and body."""
    client = http.client.HTTPConnection(HOST, port, timeout=20)
    try:
        client.request("GET", path, headers=headers or {})
        response = client.getresponse()
        return response.status, response.read().decode()
    finally:
        client.close()


def tally(port: int, requests: int, path: str = "/", clients: int = 4) -> Counter[str]:
    """What so many requests were answered with: names for status 200, else statuses and errors."""
    load = Load(port, path, clients, requests // clients)
    load.join()
    return load.answers


class Load:
    """Clients that send one request after the other, each over one kept connection, until stopped."""

    def __init__(self, port: int, path: str = "/", clients: int = 3, each: int = 10**9, pause: float = 0.0) -> None:
        self.answers: Counter[str] = Counter()
        self.connections = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._work = (port, path, each, pause)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> Counter[str]:
        self._stop.set()
        self.join()
        return self.answers

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        port, path, each, pause = self._work
        client = None
        for _ in range(each):
            if self._stop.wait(pause) if pause else self._stop.is_set():
                break
            if client is None:
                client = http.client.HTTPConnection(HOST, port, timeout=20)
                with self._lock:
                    self.connections += 1
            answer, client = self._ask(client, path)
            with self._lock:
                self.answers[answer] += 1
        if client:
            client.close()

    @staticmethod
    def _ask(client: http.client.HTTPConnection, path: str) -> tuple[str, http.client.HTTPConnection | None]:
        try:
            client.request("GET", path)
            response = client.getresponse()
            body = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            client.close()
            return type(error).__name__, None
        if response.will_close:
            client.close()
        return body if response.status == 200 else str(response.status), None if response.will_close else client


def stopwatch() -> float:
    """Seconds, for differences."""
    return time.perf_counter()
