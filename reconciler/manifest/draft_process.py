"""The processes that read manifest files for a ``drafter``, as the parent has them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.manifest.draft_worker import PREFIX, message, parts, told

START = (
    "import json,sys; sys.path[:]=json.loads(sys.stdin.buffer.readline()); "
    "from reconciler.manifest.draft_worker import main; main()"
)

File = tuple[str, str, bytes]
"""Path, blob id and content."""


def started() -> subprocess.Popen[bytes]:
    """A process that reads files for us, as soon as it has heard of the layers. Raises OSError."""
    path = [*(entry for entry in sys.path if entry), str(Path(__file__).parents[2])]
    process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-I", "-S", "-c", START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={},
        process_group=0,  # ctrl-c is for us: we end them
    )
    assert process.stdin is not None  # noqa: S101
    with suppress(BrokenPipeError):  # it has ended already, which reading from it shows
        process.stdin.write(json.dumps(path).encode() + b"\n")
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process: it holds nothing that is not told."""
    with process:
        process.kill()


@dataclass(slots=True, eq=False)
class Worker:
    """One process, what is on its way to it, and what has come of its next answer."""

    process: subprocess.Popen[bytes]
    outgoing: memoryview
    incoming: bytearray = field(default_factory=bytearray)
    batches: deque[list[File]] = field(default_factory=deque)
    ready: bool = False
    silent: bool = False
    """Ended by us, with all others, since none of them said anything: whose fault that was is not known."""

    @property
    def stdin(self) -> int:
        """Descriptor of what it reads."""
        return self.process.stdin.fileno() if self.process.stdin else -1

    @property
    def stdout(self) -> int:
        """Descriptor of what it says."""
        return self.process.stdout.fileno() if self.process.stdout else -1

    def give(self, batch: list[File]) -> None:
        """Have it read some files next."""
        self.batches.append(batch)
        more = message([part for path, blob, content in batch for part in (told(path), told(blob), content)])
        self.outgoing = memoryview(b"".join((self.outgoing, more)))

    def answers(self) -> Iterator[list[bytes]]:
        """The answers that are complete."""
        while len(self.incoming) >= PREFIX.size:
            end = PREFIX.size + PREFIX.unpack_from(self.incoming)[0]
            if len(self.incoming) < end:
                return
            body = bytes(self.incoming[PREFIX.size : end])
            del self.incoming[:end]
            yield list(parts(memoryview(body)))
