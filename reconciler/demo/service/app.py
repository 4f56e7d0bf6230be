"""A small HTTP service: answers every request after a few milliseconds, and fails as often as its release file says."""

import asyncio
import json
import os
import random
import signal
from pathlib import Path

RELEASE = json.loads(Path(__file__).with_name("release.json").read_text(encoding="utf-8"))
BUSY = set()


def answer(path):
    """Status line and body for one request."""
    if path == "/healthz":
        return "200 OK", b"ok\n"
    if random.random() < RELEASE["failing"]:
        return "500 Internal Server Error", b"out of order\n"
    return "200 OK", f"hello from {RELEASE['version']}\n".encode()


async def serve(reader, writer):
    """Answer the requests of one connection until it is closed."""
    task = asyncio.current_task()
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            BUSY.add(task)
            path = request.split(b" ", 2)[1].decode("ascii", "replace")
            if path != "/healthz":
                await asyncio.sleep(random.lognormvariate(0, 0.25) * RELEASE["milliseconds"] / 1000)
            status, body = answer(path)
            head = f"HTTP/1.1 {status}\r\nx-version: {RELEASE['version']}\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            BUSY.discard(task)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass
    finally:
        BUSY.discard(task)
        writer.close()


async def main():
    """Serve until SIGTERM; then take nothing new and finish what is in flight."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]), backlog=512)
    print(f"{RELEASE['version']} listens on port {os.environ['PORT']}", flush=True)
    await stop.wait()
    server.close()
    while BUSY:
        await asyncio.sleep(0.01)


asyncio.run(main())
