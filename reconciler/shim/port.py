"""A free port for a program."""

from __future__ import annotations

import socket
import zlib

PORTS = range(20_000, 32_000)
"""Below the ephemeral ports, any of which an outgoing connection may take while a program restarts."""


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now, on any address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def pick_port(name: str, last: int | None) -> int:
    """The last port if it is free, else the first free one from a place that depends on the name. Raises OSError."""
    if last and is_free(last):
        return last
    first = zlib.crc32(name.encode())
    for step in range(len(PORTS)):
        port = PORTS[(first + step) % len(PORTS)]
        if is_free(port):
            return port
    raise OSError("no free port")
