"""Small programs that tests run under shims, and a guard that nothing of them is left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import eventually

from reconciler import proc
from reconciler.proc import HttpHealth, ShimSpec, ShimState, ShimStatus

PYTHON = (sys.executable, "-I", "-S", "-c")

SERVER = """
import os, signal, socket, sys
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
print("listening", flush=True)
while True:
    connection, _ = server.accept()
    connection.recv(4096)
    print("asked", flush=True)
    try:
        code = open(sys.argv[1]).read().strip()
    except (OSError, IndexError):
        code = "200"
    if code == "exit":
        sys.exit(7)
    connection.sendall(f"HTTP/1.1 {code} Fine\\r\\nContent-Length: 0\\r\\n\\r\\n".encode())
    connection.close()
"""
"""Answers 200, or the status in the file it is given; ``exit`` in there ends it."""


def spec(program: str, *args: str, **more: object) -> ShimSpec:
    """A shim spec for a Python program, with short times."""
    known: dict[str, object] = {
        "id": "test/one",
        "argv": (*PYTHON, program, *args),
        "env": (("PATH", os.environ.get("PATH", os.defpath)),),
        "cwd": "/",
        "start_deadline": 10.0,
        "stop_deadline": 5.0,
        "backoff_base": 0.05,
    }
    return ShimSpec(**{**known, **more})


def server(*args: str, **more: object) -> ShimSpec:
    """A shim spec for the HTTP server."""
    return spec(SERVER, *args, **{"port": True, "health": HttpHealth("/", interval=0.1, threshold=2), **more})


def becomes(folder: Path, *statuses: str, seconds: float = 20.0) -> ShimState:
    """Wait until what runs in the folder has one of the statuses."""
    wanted = {ShimStatus(status) for status in statuses}
    eventually(lambda: (state := proc.look(folder)) and state.status in wanted, seconds, what=f"{statuses}")
    state = proc.look(folder)
    assert state is not None
    return state


def marked(below: Path) -> list[int]:
    """Living processes that were started by shims below a folder, and such shims."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "environ").read_bytes() + b"\0" + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"PRODSPRINT_FOLDER={below}".encode() in text or (b"shim" in text and f"\0{below}".encode() in text):
                found.append(int(entry.name))
    return found


@contextmanager
def nothing_left(below: Path) -> Iterator[None]:
    """End everything that runs below a folder, and fail when something of it lives on."""
    try:
        yield
    finally:
        eventually(lambda: proc.end_below(below) == 0, 30, what="all removed")
        eventually(lambda: not marked(below.resolve()), 10, what="no process left")
