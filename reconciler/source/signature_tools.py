"""Runs the programs that know signatures: with our files, our time zone, a deadline, and nothing of the user's set-up."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.outcome import TerminalError, TransientError

DEADLINE = 10.0
"""Seconds that one signature may take; it takes about 0.005."""
LARGEST = 4 << 20
"""Bytes of a file of keys."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended, and what it said."""

    status: int
    out: str
    err: str


def found(program: str, package: str) -> str:
    """Path of a program. Raises TerminalError when it is not installed."""
    path = shutil.which(program)
    if path is None:
        raise TerminalError(f"signatures cannot be checked: {program} is not installed; install the package {package}")
    return path


def run(argv: list[str], home: Path, data: bytes = b"") -> Answer:
    """Run a program on ``data``. Raises TransientError when it does not end in time or cannot be started."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and every file name is ours
            argv,
            input=data,
            capture_output=True,
            timeout=DEADLINE,
            check=False,
            cwd=home,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"},
        )
    except subprocess.TimeoutExpired:
        raise TransientError(f"{Path(argv[0]).name} did not check a signature within {DEADLINE:g} s") from None
    except OSError as error:
        raise TransientError(f"{Path(argv[0]).name} cannot be started: {error.strerror}") from error
    return Answer(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def read_keys(file: Path, what: str) -> bytes:
    """Content of a file of keys. Raises TerminalError when it is not there, empty or too large: then nobody is trusted."""
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise TerminalError(f"{what} {file}: {error.strerror}; no commit is accepted until it can be read") from None
    if not data.strip():
        raise TerminalError(f"{what} {file} is empty; no commit is accepted until it names somebody")
    if len(data) > LARGEST:
        raise TerminalError(f"{what} {file} has more than {LARGEST} bytes; no commit is accepted until it is smaller")
    return data
