"""Waiting for a condition with a deadline: the only kind of waiting that tests do."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], seconds: float = 10.0, every: float = 0.02, what: str = "") -> T:
    """Call ``check`` until it returns something true, and return that. Fails with ``what`` and the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or check!r}; last value {value!r}")
        select.select([], [], [], every)
