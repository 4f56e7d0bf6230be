"""Detach, take over the folder, tell the starter, run."""

# ruff: noqa: PTH100, PTH120
# pathlib would cost every shim memory

from __future__ import annotations

import os
import sys

# Isolated mode knows only the standard library. Ours comes last.
sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from reconciler.shim.life import Life
from reconciler.shim.program import become_subreaper


def main() -> None:
    """Fork away from the starter, which waits until the first state is written, and live."""
    folder, lock = sys.argv[1], int(sys.argv[2])
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os._exit(0 if os.read(reader, 1) else 1)
    os.close(reader)
    os.setsid()
    os.set_inheritable(lock, False)
    become_subreaper()
    life = Life(folder, lock)
    os.write(writer, b"+")
    os.close(writer)
    life.run()


main()
