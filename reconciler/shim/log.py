"""The log files of a program: bounded in size and number, written without ever blocking the program."""

# ruff: noqa: PTH105, PTH108, PTH110
# pathlib would cost every shim memory

from __future__ import annotations

import os

CHUNK = 1 << 18


class Log:
    """The program's output, in files of bounded size and number. What cannot be written is dropped: it never blocks."""

    def __init__(self, path: str, most: int, files: int) -> None:
        self.path, self.most, self.files = path, most, files
        self.descriptor = -1
        self.size = 0
        self.dropped = 0
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def pump(self) -> bool:
        """Move what waits in the pipe, at most one chunk. False when nothing waits."""
        try:
            chunk = os.read(self.reader, CHUNK)
        except BlockingIOError:
            return False
        try:
            self._open(len(chunk))
            if self.dropped:
                chunk = b"\n[prodsprint: %d bytes of output could not be written]\n" % self.dropped + chunk
            self.size += os.write(self.descriptor, chunk)
            self.dropped = 0
        except OSError:  # the disk is full, or the folder is gone
            self.dropped += len(chunk)
        return True

    def _open(self, more: int) -> None:
        if self.descriptor >= 0 and self.size and self.size + more > self.most:
            os.close(self.descriptor)
            self.descriptor = -1
            names = [self.path, *(f"{self.path}.{number}" for number in range(1, self.files))]
            for older, newer in reversed(list(zip(names, [*names[1:], f"{self.path}.gone"], strict=True))):
                if os.path.exists(older):
                    os.replace(older, newer)
            if os.path.exists(f"{self.path}.gone"):
                os.unlink(f"{self.path}.gone")
        if self.descriptor < 0:
            self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self.size = os.fstat(self.descriptor).st_size
