"""How a program learns that it shall end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event


@contextmanager
def stop_signals(stop: Event) -> Iterator[int]:
    """Have SIGTERM and SIGINT set ``stop``; yields a descriptor that is readable from then on. Only in the main thread.

    The kernel may hand a signal to any thread, and Python runs its handler in the main thread alone, when that wakes up:
    it has to wait for the descriptor, and not for the event.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(-1)
        os.close(reader)
        os.close(writer)
