"""What the command's exit status says. Stable: scripts rely on it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """See the table in docs/cli.md."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    DENIED = 3
    FROZEN = 4
    TIMED_OUT = 5
    DEGRADED = 6
    UNREACHABLE = 20
    INTERRUPTED = 130
