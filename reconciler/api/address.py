"""Addresses that may be listened on, and what each of them needs."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from reconciler.core.outcome import TerminalError

LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class Address:
    """``host:port``, with a literal IP address as host, or a Unix socket."""

    host: str = ""
    port: int = 0
    socket: str = ""
    """Absolute path of a Unix socket; empty for an IP address."""

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return bool(self.socket) or ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        if self.socket:
            return f"unix:{self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``127.0.0.1:7443``, ``[::1]:7443``, ``localhost:7443`` or ``unix:/run/prodsprint.sock``.

    Names other than localhost are refused: what they stand for may change. Raises TerminalError.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or "\0" in path or len(path.encode()) > LONGEST_SOCKET_PATH:
            raise TerminalError(
                f"address {text!r}: expected unix:/absolute/path of at most {LONGEST_SOCKET_PATH} bytes"
            )
        return Address(socket=path)
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+)):(\d{1,5})", text, re.ASCII)
    if match is None or int(match[3]) > 65535:
        raise TerminalError(f"address {text!r}: expected HOST:PORT, [IPV6]:PORT or unix:/path")
    host = match[1] or ("127.0.0.1" if match[2] == "localhost" else match[2])
    try:
        literal = ipaddress.ip_address(host)
    except ValueError as error:
        raise TerminalError(f"address {text!r}: {host!r} is not an IP address") from error
    return Address(str(literal), int(match[3]))
