"""A server that says exactly what a test wants, however wrong that is."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


class Script:
    """What to answer each connection with: ``pieces``, with ``pause`` seconds between. ``heard`` is what came."""

    def __init__(self, *pieces: bytes, pause: float = 0.0, hold: bool = False) -> None:
        self.pieces, self.pause, self.hold = pieces, pause, hold
        self.heard: list[bytes] = []
        self.over = threading.Event()


@contextmanager
def serving(script: Script, path: Path | None = None, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on a free TCP port and give its URL, or on a Unix socket at ``path``."""
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        address = str(path)
    thread = threading.Thread(target=_serve, args=(listener, script, tls))
    thread.start()
    try:
        yield address
    finally:
        script.over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def _serve(listener: socket.socket, script: Script, tls: ssl.SSLContext | None) -> None:
    while not script.over.is_set():
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        with suppress(OSError), tls.wrap_socket(accepted, server_side=True) if tls else accepted as connection:
            connection.settimeout(5)
            script.heard.append(_request(connection))
            for piece in script.pieces:
                connection.sendall(piece)
                if script.pause:
                    script.over.wait(script.pause)
            if script.hold:
                script.over.wait(10)


def _request(connection: socket.socket) -> bytes:
    heard = b""
    while b"\r\n\r\n" not in heard:
        chunk = connection.recv(65536)
        if not chunk:
            return heard
        heard += chunk
    head, _, body = heard.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
