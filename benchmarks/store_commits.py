"""Decisions committed per second, with fsync on: alone, and when several keys are decided at the same time.

Every decision is what the daemon writes: the state (15 kB of JSON), its plan, one audit entry, one delivery and the recorded
inputs. The second table says what a tick costs on disk, against the same tick as plain JSON.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import event

from benchmarks.rows import Row
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
from reconciler.core.digest import canonical
from reconciler.core.observed import Counters, Reading, Tick
from reconciler.core.state import Attempt, KeyState, Plan, Record, Result, RolloutKind, Route, Scale, SetRoute
from reconciler.ports import Transition
from reconciler.store import SqlStore, open_store
from reconciler.store.ticklog import pack

NAME = "store: decisions committed per second"
THREADS = (1, 4, 16)
EDGES = tuple(round(1.2**power, 3) for power in range(-20, 50))


def release(key: Key, number: int) -> Release:
    steps = tuple(Step(weight, 60.0, 300) for weight in (100, 500, 2500, 10_000))
    desired = DesiredState(
        key=key,
        artifact=Artifact("https://git.example/team/service.git", f"{number:040x}", f"v{number}"),
        target="process",
        spec=canonical({"command": ["python", "-m", "service"], "env": {f"SETTING_{i}": "value" for i in range(10)}}),
        runtime=canonical({"start": 30, "stop": 10}),
        instances=3,
        port=8080,
        router="envoy",
        strategy=Strategy(StrategyKind.CANARY, steps, 600.0, 86_400.0, 300.0),
        analysis=AnalysisPolicy(),
        after=("staging",),
        commit=f"{number:040x}",
        path="team/prodsprint.yaml",
    )
    return Release(f"{number:064x}", desired)


def state(key: Key, revision: int) -> KeyState:
    stable, canary = release(key, 1), release(key, 2)
    actions = (Scale(canary.digest, 3), SetRoute(Route(8080, stable.digest, canary.digest, 500)))
    digest, revisions = stable.digest, "c" * 40
    past = tuple(
        Attempt(n, RolloutKind.RELEASE, digest, f"v{n}", revisions, revisions, Result.PROMOTED, "healthy", n, n + 600.0)
        for n in range(20)
    )
    plan = Plan(key, revision, revision - 1, actions, (stable, canary), "step 2 of 4", f"{revision:064x}")
    certified = (stable, release(key, 0))
    return KeyState(key, revision, generation=revision, stable=stable, certified=certified, plan=plan, history=past)


def transition(key: Key, revision: int) -> Transition:
    following = state(key, revision)
    record = Record("rollout.stepped", "daemon", "step 2 of 4: 5 % of requests", canonical({"weight": 500}))
    return Transition(following, (record,), (), 1.8e9 + revision, canonical(following.stable) * 4)


@dataclass(frozen=True, slots=True)
class Rate:
    """Commits per second, the 95th percentile of one commit in milliseconds, and commits that shared one fsync."""

    commits: float
    p95: float
    shared: float


def measure(store: SqlStore, threads: int, each: int) -> Rate:
    """Commit ``each`` decisions in every thread, each thread on a key of its own."""
    ready = threading.Barrier(threads + 1)
    times: list[float] = []
    groups: list[object] = []
    event.listen(store._database._engine, "commit", groups.append)  # noqa: SLF001 - what no user needs to know

    def decide(number: int) -> None:
        key = Key("team", f"service-{threads}-{number}", "prod")
        todo = [transition(key, revision) for revision in range(1, each + 1)]
        ready.wait()
        for one in todo:
            began = time.perf_counter()
            store.commit(one)
            times.append(time.perf_counter() - began)

    workers = [threading.Thread(target=decide, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    taken = time.perf_counter() - began
    return Rate(len(times) / taken, sorted(times)[int(len(times) * 0.95)] * 1000, len(times) / len(groups))


def disk(folder: Path) -> float:
    """Milliseconds that this disk takes to append 4 kB and make sure of it: the median of 50."""
    times = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return sorted(times)[25] * 1000


def commits(folder: Path, total: int) -> Iterator[Row]:
    rates = {}
    for threads in THREADS:
        store = open_store(folder / f"{threads}.db", ("log",))
        rates[threads] = measure(store, threads, max(1, total // threads))
        store.close()
    for threads, rate in rates.items():
        ratio = rate.commits / rates[1].commits
        measured = (
            f"{rate.commits:,.0f} a second, p95 {rate.p95:.1f} ms, {rate.shared:.1f} commits per fsync, {ratio:.2f}x"
        )
        yield Row(f"decisions committed, fsync on, {threads} threads", measured)
    yield Row("one fsync of this disk alone", f"{disk(folder):.2f} ms")


def tick(seq: int) -> Tick:
    """A look at 500 requests a second, 1 in 20 of them to the canary, most of them done in 3 to 30 ms."""

    def side(epoch: str, share: float) -> Counters:
        sent = int(seq * 5000 * share)
        buckets = tuple((edge, int(sent * min(1.0, max(0.0, (edge - 3) / 27)))) for edge in EDGES)
        return Counters(epoch, sent, sent, sent // 200, sent, buckets)

    at = Instant(1_800_000_000.123456 + seq * 10, 86_400.654321 + seq * 10, "2f1c4d1e-7a55-4b0e-9d0e-6a3b1c2d4e5f")
    return Tick(7, seq, 1, 500, Reading(at, side("1800000000:4711:stable", 0.95), side("1800000000:4711:canary", 0.05)))


def size(path: Path, fill: Callable[[SqlStore], None]) -> int:
    store = open_store(path)
    fill(store)
    store.close()
    return path.stat().st_size


def bytes_per_tick(folder: Path, count: int) -> Iterator[Row]:
    key = Key("team", "service", "prod")
    looks = tuple(tick(seq) for seq in range(1, count + 1))
    empty = size(folder / "empty.db", lambda _: None)
    full = size(folder / "ticks.db", lambda store: store.append(key, looks))
    store = open_store(folder / "ticks.db")
    began = time.perf_counter()
    store.ticks(key, 7)
    read = (time.perf_counter() - began) / count
    store.close()
    plain = sum(len(canonical(look)) for look in looks) / count
    packed = sum(len(pack(look)[1]) for look in looks) / count
    per_tick = (full - empty) / count
    measured = f"{per_tick:.0f} bytes on disk, {packed:.0f} packed, {plain:.0f} as JSON; read in {read * 1e6:.0f} µs"
    yield Row(f"one tick with {len(EDGES)} buckets a side", measured)


def run(*, quick: bool) -> Iterator[Row]:
    """Both."""
    with tempfile.TemporaryDirectory(
        dir=Path.cwd()
    ) as name:  # a disk, where the folder for temporary files may be memory
        folder = Path(name)
        yield from commits(folder, 320 if quick else 3200)
        yield from bytes_per_tick(folder, 500 if quick else 5000)
