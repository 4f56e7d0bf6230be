"""Real Envoys for tests, ended with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import eventually

from reconciler import proc
from reconciler.clock import SystemClock
from reconciler.core.desired import Key
from reconciler.core.observed import Backend, Traffic
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.ports import Host, Router
from reconciler.routers._envoy_process import find_envoy

KEY = Key("shop", "cart", "prod")


class NoCheckouts:
    """Routers and metrics sources check nothing out."""

    def checkout(self, source: str, revision: str, into: Path) -> None:
        raise AssertionError(source)


def host(folder: Path) -> Host:
    return Host(folder, SystemClock(), NoCheckouts())


def require_envoy() -> None:
    try:
        find_envoy()
    except TerminalError as error:
        pytest.skip(str(error))


@contextmanager
def ended(data: Path) -> Iterator[Path]:
    """A data folder whose Envoy is gone afterwards."""
    try:
        yield data
    finally:
        eventually(lambda: proc.remove(data / "process"), 15, what="Envoy ends")


def answers(router: Router, key: Key = KEY) -> bool:
    """Whether the router can say what it serves."""
    try:
        router.observe(key)
    except TransientError:
        return False
    return True


def put(router: Router, traffic: Traffic, generation: int = 1, key: Key = KEY) -> None:
    """Apply until it is observed, as the loop does."""

    def done() -> bool:
        router.apply(key, traffic, generation)
        return router.observe(key) == (traffic if traffic.stable or traffic.canary else None)

    eventually(done, what=f"{traffic} in force")


def side(digest: str, *endpoints: str) -> Backend:
    return Backend(f"sha256:{digest}", endpoints)
