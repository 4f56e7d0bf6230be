"""Steady real traffic: requests at a fixed rate over keep-alive connections, counted by version and outcome.

Open loop: a request is due at its time whether or not earlier ones were answered, so slow answers are not hidden. Prints one
JSON line a second ({"seconds", "sent", "answered": {version: {status: n}}, "failed": {why: n}}), until SIGTERM or the end.
With ``--log FILE`` it also writes one line a request: due time (CLOCK_MONOTONIC seconds), seconds it took, status, version.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

CONNECTIONS = 64
TIMEOUT = 10.0


class Traffic:
    """Sends requests to one loopback port and counts what comes back."""

    def __init__(self, port: int, log: TextIO | None) -> None:
        self.port = port
        self.log = log
        self.sent = 0
        self.answered: dict[str, Counter[str]] = defaultdict(Counter)
        self.failed: Counter[str] = Counter()
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._places = asyncio.Semaphore(CONNECTIONS)

    async def request(self, clock: Callable[[], float]) -> None:
        """Send one request and count its outcome."""
        self.sent += 1
        due = clock()
        version, status = "", ""
        try:
            async with self._places, asyncio.timeout(TIMEOUT):
                version, status = await self._exchange()
                self.answered[version][status] += 1
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            status = type(error).__name__
            self.failed[status] += 1
        if self.log is not None:
            self.log.write(f"{due:.6f} {clock() - due:.6f} {status} {version or '-'}\n")

    async def _exchange(self) -> tuple[str, str]:
        reused = bool(self._idle)
        reader, writer = self._idle.pop() if reused else await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nhost: demo\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii", "replace")
            lines = head.split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            await reader.readexactly(int(fields.get("content-length", "0")))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return fields.get("x-version", "(router)"), lines[0].split(" ")[1]

    def report(self, seconds: float) -> str:
        """The counts so far as one JSON line."""
        return json.dumps(
            {
                "seconds": round(seconds, 2),
                "sent": self.sent,
                "answered": {version: dict(codes) for version, codes in sorted(self.answered.items())},
                "failed": dict(self.failed),
            }
        )


async def _run(port: int, rate: float, seconds: float, log: TextIO | None) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    traffic = Traffic(port, log)
    flying: set[asyncio.Task[None]] = set()
    start = loop.time()
    told = 0.0
    while not stop.is_set() and (not seconds or loop.time() - start < seconds):
        now = loop.time() - start
        while traffic.sent < now * rate:
            task = loop.create_task(traffic.request(loop.time))
            flying.add(task)
            task.add_done_callback(flying.discard)
            await asyncio.sleep(0)
        if now - told >= 1:
            told = now
            print(traffic.report(now), flush=True)  # noqa: T201  # the output is the interface
        await asyncio.sleep(max(0.001, traffic.sent / rate - (loop.time() - start)))
    await asyncio.gather(*flying)
    print(traffic.report(loop.time() - start), flush=True)  # noqa: T201


def main() -> int:
    """Run from the command line: ``python -m reconciler.demo.traffic PORT --rate 500``."""
    parser = argparse.ArgumentParser(description="steady traffic to a port of this machine")
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so long (default: never)")
    parser.add_argument("--log", type=Path, help="file for one line a request")
    args = parser.parse_args()
    if args.log is None:
        asyncio.run(_run(args.port, args.rate, args.seconds, None))
    else:
        with args.log.open("w", encoding="ascii") as log:
            asyncio.run(_run(args.port, args.rate, args.seconds, log))
    return 0


if __name__ == "__main__":
    sys.exit(main())
