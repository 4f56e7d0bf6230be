"""Release units of real processes behind a real Envoy: they go together, and come back together."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from envoys import NoCheckouts, answers, ended, require_envoy
from fakes.desires import FakeDesires
from fakes.parts import several
from fakes.values import desired
from http_traffic import Load, free_port, get
from programs import nothing_left
from releases import KEY, CopiedCheckouts
from waiting import eventually

from reconciler import registry
from reconciler.clock import SystemClock
from reconciler.core.components import parts, version_of
from reconciler.core.desired import AnalysisPolicy, Artifact, Component, DesiredState, Step, Strategy, StrategyKind
from reconciler.core.digest import canonical
from reconciler.core.observed import InstanceStatus
from reconciler.core.outcome import TransientError
from reconciler.core.state import KeyState, Result
from reconciler.ports import Host
from reconciler.reconcile import Look, Ports, reconcile
from reconciler.store import open_store

SERVICE = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
release = json.load(open("release.json"))
if release.get("exits"):
    sys.exit("no database")

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        fails = release.get("fails") and self.path != "/healthz"
        body = (os.environ.get("PRODSPRINT_COMPONENT", "alone") + " " + release["version"]).encode()
        self.send_response(500 if fails else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
RUNTIME = {"health_interval": 0.1, "start_deadline": 15.0, "stop_deadline": 2.0, "build_deadline": 20.0}
STEPS = (Step(5000, 0.4), Step(10_000, 0.4))


@dataclass
class World:
    """One key on real adapters; ``until`` looks at it as the daemon would."""

    ports: Ports
    checkouts: CopiedCheckouts
    listen: dict[str, int]
    loads: dict[str, Load] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)

    def part(self, name: str, version: str, **release: Any) -> Component:
        """A component at its port, of a commit of its own."""
        files = {"server.py": SERVICE, "release.json": json.dumps({"version": version, **release})}
        artifact = Artifact(f"file:///{name}.git", self.checkouts.commit(files), version)
        spec = canonical({"command": [sys.executable, "-I", "-S", "server.py"], "health": "/healthz"})
        return Component(name, artifact, spec, canonical(RUNTIME), 1, self.listen[name])

    def unit(self, *some: Component) -> DesiredState:
        strategy = Strategy(StrategyKind.CANARY, STEPS, 60.0, 60.0, 20.0, drain=0.2)
        policy = AnalysisPolicy(interval=0.2, error_budget=0.1)
        common = {"key": KEY, "target": "process", "router": "envoy", "strategy": strategy, "analysis": policy}
        if len(some) > 1:
            return several(*some, **common)
        one = some[0]
        fields = {"artifact": one.artifact, "spec": one.spec, "runtime": one.runtime, "port": one.port}
        return desired(instances=1, **fields, **common)

    @property
    def state(self) -> KeyState:
        return self.ports.store.load(KEY)

    def until(self, done: Callable[[KeyState], Any], what: str = "", seconds: float = 40.0) -> None:
        def look() -> bool:
            self.looks.append(reconcile(KEY, self.ports))
            return bool(done(self.looks[-1].decision.state))

        eventually(look, seconds, 0.02, what or "the state")

    def bring(self, wanted: DesiredState) -> None:
        """Ask for it, wait until it is in service, and go on sending requests."""
        self.ports.desires.commit(wanted)
        self.until(lambda state: state.stable and state.rollout is None and state.stable.desired == wanted)
        self.until(lambda _: self.looks[-1].decision.due.finished)

    def send(self, *names: str) -> None:
        """Begin steady requests to some ports."""
        self.loads |= {name: Load(self.listen[name], clients=2, pause=0.005) for name in names}

    def answered(self, name: str) -> Counter[str]:
        return self.loads[name].stop()


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    require_envoy()
    clock, checkouts = SystemClock(), CopiedCheckouts(folder / "commits")
    for name in ("process", "envoy", "metrics"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        stack.enter_context(nothing_left(folder))
        stack.enter_context(ended(folder / "envoy"))
        target = registry.target("process").open(Host(folder / "process", clock, checkouts))
        router = registry.router("envoy").open(Host(folder / "envoy", clock, NoCheckouts()))
        eventually(lambda: answers(router), what="Envoy answers")
        kind = registry.metrics("envoy")
        config = kind.config.model_validate({"router": folder / "envoy"})
        metrics = kind.open(Host(folder / "metrics", clock, NoCheckouts()), config)
        store = stack.enter_context(_closing(open_store(folder / "state.db")))
        ports = Ports(clock, store, FakeDesires(), lambda _: target, lambda _: router, lambda _: metrics)
        names = ("web", "worker", "mailer", "")
        world = World(ports, checkouts, {name: free_port() for name in names})
        yield world
        for load in world.loads.values():
            load.stop()


@contextmanager
def _closing(store: Any) -> Iterator[Any]:
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as found:
        yield found


def test_two_components_are_promoted_together_under_traffic(world):
    first = world.unit(world.part("web", "v1"), world.part("worker", "v1"))
    world.bring(first)
    world.send("web", "worker")
    second = world.unit(world.part("web", "v2"), world.part("worker", "v2"))
    world.bring(second)
    assert [get(world.listen[name])[1] for name in ("web", "worker")] == ["web v2", "worker v2"]
    for name in ("web", "worker"):
        found = world.answered(name)
        assert found.keys() == {f"{name} v1", f"{name} v2"}
    half = [
        look for look in world.looks if look.inputs.observed.traffic and look.inputs.observed.traffic.weight == 5000
    ]
    assert half
    last = world.looks[-1].inputs.observed
    assert [(one.status, one.digest) for one in last.instances] == [(InstanceStatus.READY, world.state.stable.digest)]
    assert [one.version for one in world.state.history] == ["web and worker v2", "web and worker v1"]


def test_failures_of_the_second_component_take_both_back_and_no_request_to_what_serves_is_lost(world):
    world.bring(world.unit(world.part("web", "v1"), world.part("worker", "v1")))
    world.send("web", "worker")
    world.ports.desires.commit(world.unit(world.part("web", "v2"), world.part("worker", "v2", fails=True)))
    world.until(lambda state: state.history[0].result is Result.ROLLED_BACK, "rolled back")
    assert [get(world.listen[name])[1] for name in ("web", "worker")] == ["web v1", "worker v1"]
    web, worker = world.answered("web"), world.answered("worker")
    assert web.keys() == {"web v1", "web v2"}
    assert worker.keys() == {"worker v1", "500"}
    assert worker["500"] <= world.state.history[0].bad_requests
    left = {one.digest for one in world.looks[-1].inputs.observed.instances}
    assert left == {world.state.stable.digest}


def test_a_component_that_cannot_start_takes_the_other_with_it_before_any_request(world):
    world.bring(world.unit(world.part("web", "v1"), world.part("worker", "v1")))
    world.send("web", "worker")
    world.ports.desires.commit(world.unit(world.part("web", "v2"), world.part("worker", "v2", exits=True)))
    world.until(lambda state: state.history[0].result is Result.ROLLED_BACK, "rolled back")
    reason = world.state.history[0].reason
    assert "worker: " in reason
    assert "no database" in reason
    assert world.answered("web").keys() == {"web v1"}
    assert world.answered("worker").keys() == {"worker v1"}


def test_one_service_becomes_several_and_one_again_and_no_request_is_lost(world):
    world.listen["web"] = world.listen[""]
    world.bring(world.unit(world.part("", "v1")))
    world.send("web")
    both = world.unit(world.part("web", "v2"), world.part("worker", "v2"))
    world.bring(both)
    assert get(world.listen["worker"]) == (200, "worker v2")
    world.bring(world.unit(world.part("", "v3")))
    assert world.answered("web").keys() == {"alone v1", "web v2", "alone v3"}
    with pytest.raises(OSError):  # noqa: PT011  # nobody listens any more
        get(world.listen["worker"])
    assert len(parts(world.state.stable.desired)) == 1


def test_a_component_is_added_and_removed_beside_one_that_serves(world):
    world.bring(world.unit(world.part("web", "v1"), world.part("worker", "v1")))
    world.send("web", "worker")
    three = world.unit(world.part("web", "v2"), world.part("worker", "v1"), world.part("mailer", "v1"))
    world.bring(three)
    assert get(world.listen["mailer"]) == (200, "mailer v1")
    assert version_of(three) == "web v2, worker and mailer v1"
    world.bring(world.unit(world.part("web", "v3"), world.part("worker", "v1")))
    with pytest.raises(OSError):  # noqa: PT011  # nobody listens any more
        get(world.listen["mailer"])
    assert world.answered("web").keys() == {"web v1", "web v2", "web v3"}
    assert world.answered("worker").keys() == {"worker v1"}


def test_a_daemon_that_starts_again_in_the_middle_goes_on_with_both(world):
    world.bring(world.unit(world.part("web", "v1"), world.part("worker", "v1")))
    world.send("web", "worker")
    wanted = world.unit(world.part("web", "v2"), world.part("worker", "v2"))
    world.ports.desires.commit(wanted)
    world.until(lambda state: state.rollout is not None and state.rollout.confirmed is not None)
    world.ports = replace(world.ports, cache={}, progress={})
    world.bring(wanted)
    assert world.answered("worker").keys() == {"worker v1", "worker v2"}


def test_the_way_back_of_both_needs_no_look_at_their_instances(world):
    world.bring(world.unit(world.part("web", "v1"), world.part("worker", "v1")))
    world.ports.desires.commit(world.unit(world.part("web", "v2"), world.part("worker", "v2")))
    target = world.ports.target("process")

    class Blind:
        def observe(self, key: Any) -> Any:
            raise TransientError("the disk is gone")

        apply, keep, close = target.apply, target.keep, target.close

    world.send("web", "worker")
    world.until(lambda state: state.rollout is not None and state.rollout.confirmed is not None)
    world.ports = replace(world.ports, target=lambda _: Blind())
    world.ports.desires.commit(world.unit(world.part("web", "v1"), world.part("worker", "v1")))
    stable = world.state.stable.digest
    world.until(lambda _: _alone(world, stable), "all traffic back though no instance can be seen")
    world.ports = replace(world.ports, target=lambda _: target)
    world.until(lambda state: state.rollout is None)
    assert world.answered("web").keys() <= {"web v1", "web v2"}
    assert world.answered("worker").keys() <= {"worker v1", "worker v2"}


def _alone(world: World, digest: str) -> bool:
    traffic = world.looks[-1].inputs.observed.traffic
    return traffic is not None and traffic.canary is None and traffic.stable.digest == digest


def test_a_port_changes_hands_between_components_without_a_request_lost(world):
    world.listen["jobs"] = world.listen["worker"]
    world.bring(world.unit(world.part("web", "v1"), world.part("worker", "v1")))
    world.send("web", "worker")
    world.bring(world.unit(world.part("web", "v1"), world.part("jobs", "v2")))
    world.bring(world.unit(world.part("web", "v1"), world.part("worker", "v3")))
    assert world.answered("web").keys() == {"web v1"}
    assert world.answered("worker").keys() == {"worker v1", "jobs v2", "worker v3"}
