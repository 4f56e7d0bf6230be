"""Secrets that people put into files."""

from __future__ import annotations

from pathlib import Path

from reconciler.core.outcome import TerminalError
from reconciler.core.secret import Secret

LARGEST = 65_536
"""Bytes that are read at most."""


def read_secret(file: Path) -> Secret:
    """The secret in a file, without white space around it. Raises TerminalError when it is missing, empty or not ASCII."""
    try:
        with file.open("rb") as stream:
            text = stream.read(LARGEST).decode("ascii").strip()
    except OSError as error:
        raise TerminalError(f"secret file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TerminalError(f"secret file {file}: expected plain ASCII text") from None
    if not text:
        raise TerminalError(f"secret file {file} is empty")
    return Secret(text)
