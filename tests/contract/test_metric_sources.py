"""What every metrics source has to do, with real requests through a real Envoy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from envoys import KEY, answers, ended, host, put, require_envoy, side
from http_traffic import HOST, Backend, Load, free_port, tally
from waiting import eventually

from reconciler import proc, registry
from reconciler.clock import SystemClock
from reconciler.core.desired import FULL_WEIGHT, Key
from reconciler.core.observed import Counters, Reading, Traffic
from reconciler.core.outcome import TransientError
from reconciler.exchange import Call, over_unix_socket
from reconciler.ports import MetricsSource, Router
from reconciler.routers.envoy import EnvoyRouter


@dataclass
class World:
    router: Router
    envoy: Path
    stable: Backend
    canary: Backend
    port: int

    def weigh(self, weight: int) -> None:
        sides = side("a", self.stable.endpoint), side("b", self.canary.endpoint)
        put(self.router, Traffic(self.port, *sides, weight))

    def kill(self) -> None:
        os.kill(proc.look(self.envoy / "process").pid, signal.SIGKILL)
        eventually(lambda: answers(self.router), what="Envoy is back")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require_envoy()
    stable, canary = Backend("stable"), Backend("canary")
    try:
        with ended(tmp_path_factory.mktemp("m")) as envoy:
            router = EnvoyRouter(host(envoy))
            world = World(router, envoy, stable, canary, free_port())
            eventually(lambda: answers(router), what="Envoy answers")
            world.weigh(0)
            yield world
    finally:
        stable.close()
        canary.close()


@contextmanager
def relay(admin: Path) -> Iterator[int]:
    """Envoy's statistics on a TCP port, for a Prometheus."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer = over_unix_socket(admin, Call("/stats/prometheus", 5.0, 10**8), SystemClock())
            except TransientError:
                self.send_error(502)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def prometheus(folder: Path, scraped: int) -> Iterator[str]:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("there is no prometheus on the PATH")
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms}\n"
        f"scrape_configs: [{{job_name: envoy, static_configs: [{{targets: ['{HOST}:{scraped}']}}]}}]\n"
    )
    address = f"{HOST}:{free_port()}"
    arguments = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([binary, *arguments, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        server.kill()
        server.wait()


@contextmanager
def _envoy(world: World, folder: Path) -> Iterator[dict[str, object]]:
    yield {"router": world.envoy}


@contextmanager
def _prometheus(world: World, folder: Path) -> Iterator[dict[str, object]]:
    with relay(world.envoy / "admin.sock") as port, prometheus(folder, port) as url:
        yield {"url": url}


SETTINGS = {"envoy": _envoy, "prometheus": _prometheus}
NOT_THERE = {"envoy": {"router": "/nowhere"}, "prometheus": {"url": "http://127.0.0.1:1"}}
KINDS = registry.names("metric_sources")


@pytest.fixture(scope="module", params=KINDS)
def source(
    request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MetricsSource]:
    kind = registry.metrics(request.param)
    folder = tmp_path_factory.mktemp("s")
    with SETTINGS[request.param](world, folder) as settings:
        source = kind.open(host(folder), kind.config.model_validate(settings))
        eventually(lambda: source.read(KEY).stable, 20, 0.1, "the first scrape")
        settled(source)
        yield source
        source.close()


def settled(source: MetricsSource) -> Reading:
    """A reading after which nothing more comes, since nobody sends requests: all that were sent came to an end."""
    last = [source.read(KEY)]

    def same() -> bool:
        now = source.read(KEY)
        still = not now.error and (now.stable, now.canary) == (last[-1].stable, last[-1].canary)
        last.append(now) if still else last.clear() or last.append(now)
        return len(last) > 6

    eventually(same, 20, 0.25, "counters stand still")
    return last[-1]


def grown(before: Counters, after: Counters) -> tuple[int, ...]:
    assert before.epoch == after.epoch
    names = ("sent", "answered", "failed", "timed")
    return tuple(getattr(after, name) - getattr(before, name) for name in names)


def awaited(source: MetricsSource, role: str, before: Reading, growth: tuple[int, ...]) -> Reading:
    """The reading by which a side has grown by exactly this; all requests have ended, so that more cannot come."""

    def reached() -> Reading | None:
        now = source.read(KEY)
        last.append(grown(getattr(before, role), getattr(now, role)))
        return now if last[-1] == growth else None

    last: list[tuple[int, ...]] = []
    try:
        return eventually(reached, every=0.1)
    except AssertionError:
        assert last[-1] == growth
        raise


def check(counters: Counters) -> None:
    assert all(isinstance(n, int) for n in (counters.sent, counters.answered, counters.failed, counters.timed))
    assert 0 <= counters.failed <= counters.sent
    assert 0 <= counters.answered <= counters.sent
    edges, counts = [edge for edge, _ in counters.buckets], [count for _, count in counters.buckets]
    assert edges == sorted(set(edges))
    assert [*counts, counters.timed] == sorted([*counts, counters.timed])


def test_counts_each_side_exactly(source: MetricsSource, world: World) -> None:
    before = source.read(KEY)
    tally(world.port, 30, clients=3)
    tally(world.port, 10, "/fail", clients=1)
    world.weigh(FULL_WEIGHT)
    tally(world.port, 20)
    tally(world.port, 5, "/fail", clients=1)
    world.weigh(0)
    awaited(source, "stable", before, (40, 40, 10, 40))
    after = awaited(source, "canary", before, (25, 25, 5, 25))
    check(after.stable)
    check(after.canary)
    assert [edge for edge, _ in after.stable.buckets][:5] == [1.0, 2.0, 3.0, 5.0, 7.0]


def test_a_request_without_an_answer_is_sent_and_failed_and_not_answered(source: MetricsSource, world: World) -> None:
    before = source.read(KEY)
    assert tally(world.port, 6, "/reset", clients=1) == {"503": 6}
    awaited(source, "stable", before, (6, 0, 6, 0))


def test_a_side_without_instances_has_sent_requests_that_failed(source: MetricsSource, world: World) -> None:
    before = source.read(KEY)
    for stable, answer in ((side("a"), "no endpoint"), (side("a", "127.0.0.1:1"), "nobody listens")):
        put(world.router, Traffic(world.port, stable, side("b", world.canary.endpoint), 0))
        assert tally(world.port, 5, clients=1) == {"503": 5}, answer
    world.weigh(0)
    awaited(source, "stable", before, (10, 0, 10, 0))


def test_a_request_in_flight_is_sent_already(source: MetricsSource, world: World) -> None:
    before = source.read(KEY)
    slow = Load(world.port, "/wait", clients=1, each=1)
    awaited(source, "stable", before, (1, 0, 0, 0))
    world.stable.release.set()
    slow.join()
    world.stable.release.clear()
    awaited(source, "stable", before, (1, 1, 0, 1))


def test_no_counter_goes_backwards_under_load_while_endpoints_change(source: MetricsSource, world: World) -> None:
    with Load(world.port, clients=2) as load, Load(world.port, "/fail", clients=1) as failing:
        last = eventually(lambda: _both(source.read(KEY)), every=0.25, what="a good reading")
        for number in range(10):
            endpoints = (world.stable.endpoint, world.canary.endpoint)[: 1 + number % 2]
            put(world.router, Traffic(world.port, side("a", *endpoints), side("b", world.canary.endpoint), 1000))
            now = eventually(lambda: _both(source.read(KEY)), every=0.25, what="a good reading")
            for old, new in ((last.stable, now.stable), (last.canary, now.canary)):
                check(new)
                assert min(grown(old, new)) >= 0
                assert all(a <= b for (_, a), (_, b) in zip(old.buckets, new.buckets, strict=False))
            last = now
        eventually(lambda: load.answers["stable"] > 100 and load.answers["canary"] > 20, what="requests on both sides")
    assert set(load.answers) == {"stable", "canary"}
    assert set(failing.stop()) == {"500"}
    world.weigh(0)
    settled(source)


def _both(reading: Reading) -> Reading | None:
    return reading if reading.stable and reading.canary else None


def test_a_key_that_is_not_served_has_no_sides(source: MetricsSource) -> None:
    reading = source.read(Key("no", "such", "key"))
    assert (reading.stable, reading.canary, reading.error) == (None, None, "")


def test_another_life_of_the_counters_has_another_epoch(source: MetricsSource, world: World) -> None:
    tally(world.port, 4)
    before = source.read(KEY).stable
    assert before.epoch
    world.kill()
    after = eventually(
        lambda: (now := source.read(KEY).stable) and now.epoch != before.epoch and now, 20, 0.1, "a new epoch"
    )
    assert after.sent < before.sent
    assert settled(source).stable.epoch == after.epoch


@pytest.mark.parametrize("name", KINDS)
def test_a_source_that_is_not_there_is_an_error_and_no_zeros(name: str, tmp_path: Path) -> None:
    kind = registry.metrics(name)
    source = kind.open(host(tmp_path), kind.config.model_validate(NOT_THERE[name]))
    reading = source.read(KEY)
    assert (reading.stable, reading.canary) == (None, None)
    assert reading.error
    source.close()
    source.close()
