"""The health check of a program: one HTTP request at a time, none of which ever blocks."""

from __future__ import annotations

import select
import socket
from typing import Any

MOST_READ = 1 << 16


class HealthCheck:
    """GETs the health path again and again; ``due`` says when to call ``move`` if the poll has not asked for it before."""

    def __init__(self, poll: select.poll, health: dict[str, Any], port: int, now: float) -> None:
        self.poll, self.health, self.port = poll, health, port
        self.started = self.due = now
        self.probe: Probe | None = None

    def move(self, now: float, *, settled: bool) -> str | None:
        """Go on; a verdict once it is known: "" for healthy, else the reason. None: no news.

        Until it is ``settled`` it asks often at first, so that a fast starter is ready at once, then ever more seldom.
        """
        if self.probe is None:
            if now >= self.due:
                self._ask(now)
            return None
        known = self.probe.verdict
        more = self.probe.move(now)
        news = self.probe.verdict if known is None else None
        if more:
            self.poll.modify(self.probe.socket, self.probe.events)
        else:
            self.close()
            early = max(0.02, (now - self.started) / 5)
            self.due = now + (self.health["interval"] if settled else min(early, self.health["interval"]))
        return news

    def _ask(self, now: float) -> None:
        try:
            self.probe = Probe(self.health["path"], self.port, now + self.health["timeout"])
        except OSError:  # the machine has no socket to spare: that says nothing of the program
            self.due = now + self.health["interval"]
        else:
            self.poll.register(self.probe.socket, self.probe.events)
            self.due = self.probe.deadline

    def close(self) -> None:
        """End the request under way, if there is one."""
        if self.probe:
            self.poll.unregister(self.probe.socket)
            self.probe.socket.close()
        self.probe = None


class Probe:
    """One GET on 127.0.0.1 that never blocks. ``verdict`` is "" for healthy, else the reason; None while it is open."""

    def __init__(self, path: str, port: int, deadline: float) -> None:
        self.deadline = deadline
        self.verdict: str | None = None
        self.heard = b""
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: prodsprint\r\nConnection: close\r\n\r\n"
        )
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.socket.connect_ex(("127.0.0.1", port))
        self.events = select.POLLOUT

    def move(self, now: float) -> bool:
        """Do what can be done now. False when it is over, with a verdict."""
        try:
            more = self._advance()
        except BlockingIOError:
            more = True
        except OSError as error:
            more = self._judge(error.strerror or "the connection failed")
        if now >= self.deadline:
            more = self._judge("no answer in time")
        return more

    def _advance(self) -> bool:
        if self.events == select.POLLOUT:
            self.socket.sendall(self.request.encode())
            self.events = select.POLLIN
            return True
        heard = self.socket.recv(MOST_READ)
        self.heard = (self.heard + heard)[:64]
        line = self.heard.split(b"\r\n")[0].decode(errors="replace")
        if not heard or b"\r\n" in self.heard:
            status = line.split(" ")[1:2]
            self._judge("" if status and status[0][:1] in {"2", "3"} else f"answered {line!r}")
        return bool(heard)  # read to the end, so that no server logs a broken pipe

    def _judge(self, verdict: str) -> bool:
        if self.verdict is None:
            self.verdict = verdict
        return False
