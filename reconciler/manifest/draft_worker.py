"""Reads manifests in a process of its own: batches come in on standard input, records go out on standard output.

A message is its length, the number of its parts, their lengths, and the parts. What a worker is told first are the
defaults; it answers when it is ready. Then every batch (path, blob and content of each file) is answered by as many records.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from reconciler.manifest.draft import draft_file, refused_file
from reconciler.manifest.layers import Layers
from reconciler.manifest.recordcodec import encode
from reconciler.manifest.records import FileDraft

log = logging.getLogger(__name__)

DEADLINE = 10
"""Seconds of processor time after which a file is given up; the largest one that is read takes about 0.5."""
MEMORY = 1 << 30
"""Bytes of private memory that a worker may use."""
PREFIX = struct.Struct("<I")


def message(parts: Sequence[bytes]) -> bytes:
    """The bytes of one message."""
    head = struct.pack(f"<{len(parts) + 1}I", len(parts), *map(len, parts))
    return b"".join((PREFIX.pack(len(head) + sum(map(len, parts))), head, *parts))


def parts(body: memoryview) -> Iterator[bytes]:
    """The parts of a message without its length."""
    (count,) = PREFIX.unpack_from(body)
    start = PREFIX.size * (count + 1)
    for length in struct.unpack_from(f"<{count}I", body, PREFIX.size):
        yield bytes(body[start : start + length])
        start += length


def told(path: str) -> bytes:
    """A path in a message; whatever git holds."""
    return path.encode("utf-8", "surrogateescape")


def heard(part: bytes) -> str:
    """A path from a message."""
    return part.decode("utf-8", "surrogateescape")


def read(path: str, blob: str, content: bytes, layers: Layers) -> FileDraft:
    """Draft one file. A bug that it meets costs this file alone."""
    try:
        return draft_file(path, blob, content, layers)
    except Exception:
        log.exception("%s cannot be read, which is an error in ProdSprint", path)
        return refused_file(path, blob, "the file met an error in ProdSprint, which the log of the daemon describes")


def main() -> None:
    """Serve until standard input ends; the parent's death ends it too."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever prints must not stand between the messages
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    layers = Layers.unpacked(list(_receive(source)))
    gc.freeze()  # what was imported stays: no collection has to look at it again
    _send(sink, [])
    while batch := list(_receive(source)):
        _send(sink, [_record(file, layers) for file in zip(*[iter(batch)] * 3, strict=True)])


def _record(file: tuple[bytes, ...], layers: Layers) -> bytes:
    path, blob, content = file
    signal.setitimer(signal.ITIMER_PROF, DEADLINE)
    name = heard(path)
    return encode(name, read(name, heard(blob), content, layers))


def _receive(source: BinaryIO) -> Iterator[bytes]:
    prefix = source.read(PREFIX.size)
    if len(prefix) == PREFIX.size:
        yield from parts(memoryview(source.read(*PREFIX.unpack(prefix))))


def _send(sink: BinaryIO, records: Sequence[bytes]) -> None:
    body = memoryview(message(records))
    while body:
        body = body[sink.write(body) :]
