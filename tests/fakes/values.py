"""Values of the core, made short for tests."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from reconciler.core.desired import (
    AnalysisPolicy,
    Artifact,
    DesiredState,
    Instant,
    Key,
    Release,
    Step,
    Strategy,
    StrategyKind,
)
from reconciler.core.digest import release_digest
from reconciler.core.observed import Counters, Instance, InstanceStatus, Reading, Tick

KEY = Key("acme", "shop", "prod")
STEPS = (Step(500, 10.0), Step(2500, 10.0), Step(10_000, 10.0))
STRATEGY = Strategy(StrategyKind.CANARY, STEPS, max_bake=300.0, hold_deadline=3600.0, progress_deadline=60.0, drain=5.0)
POLICY = AnalysisPolicy(interval=2.0, false_rollback=1e-6)


def revision(version: str) -> str:
    """40 hex digits that belong to a version."""
    return hashlib.sha1(version.encode()).hexdigest()


def desired(version: str = "v1", key: Key = KEY, **changes: Any) -> DesiredState:
    """What a commit that asks for a version means; ``changes`` replace fields."""
    plain = DesiredState(
        key=key,
        artifact=Artifact("https://git.example/shop", revision(version), version),
        target="fake",
        spec='{"command":["serve"]}',
        runtime="{}",
        instances=2,
        port=8080,
        router="fake",
        strategy=STRATEGY,
        analysis=POLICY,
        after=(),
        commit=revision(f"commit of {version}"),
        path="prodsprint.yaml",
    )
    return replace(plain, **changes)


def release(version: str = "v1", key: Key = KEY, **changes: Any) -> Release:
    """A release of a version."""
    wanted = desired(version, key, **changes)
    return Release(release_digest(wanted), wanted)


def at(seconds: float = 0.0, *, jump: float = 0.0, boot: str = "boot-1") -> Instant:
    """An instant some seconds after the start of the test; ``jump`` moves the wall clock alone."""
    return Instant(1_700_000_000.0 + seconds + jump, 1_000.0 + seconds, boot)


def instances(of: Release, count: int = 2, status: InstanceStatus = InstanceStatus.READY, **changes: Any):
    """Instances 0 to ``count`` - 1 of a release, each with an endpoint of its own."""
    ports = int(of.digest[:3], 16)
    return tuple(
        Instance(f"{of.digest[:4]}-{n}", of.digest, n, status, f"127.0.0.1:{20_000 + 10 * ports + n}", **changes)
        for n in range(count)
    )


def counters(sent: int, failed: int = 0, epoch: str = "1") -> Counters:
    """Counters of requests that were all answered, each in under 10 ms."""
    return Counters(epoch, sent, sent, failed, sent, ((5.0, sent // 2), (10.0, sent)))


def tick(
    seq: int, seconds: float, step: int, weight: int, sides: tuple[Counters | None, Counters | None], attempt: int = 2
):
    """A tick ``seconds`` after the start of the test; ``sides`` are stable and canary."""
    return Tick(attempt, seq, step, weight, Reading(at(seconds), *sides))
