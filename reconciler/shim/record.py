"""The record that a shim keeps of itself in its folder, for whoever looks at it or adopts it."""

# ruff: noqa: PTH105, PTH123
# pathlib would cost every shim memory

from __future__ import annotations

import os
from typing import Any

STATE: dict[str, Any] = {
    "status": "starting",
    "pid": None,
    "port": None,
    "restarts": 0,
    "exit_code": None,
    "message": "",
    "since": 0.0,
    "proven": False,
    "shim": 0,
    "shim_start": 0,
    "boot": "",
}
"""The content of ``state.json``. ``proven``: it was ready once, so that the shim never gives up on it. ``shim``,
``shim_start`` and ``boot`` identify the shim: process id, start time in clock ticks, boot id."""


def write(path: str, text: str) -> None:
    """Replace a file whole. Raises OSError."""
    with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)
