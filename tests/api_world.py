"""A small daemon behind the real API server: a real store, environments set by hand, verbs answered when told to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

import grpc

from reconciler.api.server import ApiSettings, serve
from reconciler.clock import SystemClock
from reconciler.core.analysis import Analysis, Evidence, Verdict
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
from reconciler.core.observed import Backend, Instance, InstanceStatus, Observed, Traffic
from reconciler.core.state import Answer, KeyState, Phase, Record, Request, Rollout, RolloutKind
from reconciler.core.view import EnvironmentView
from reconciler.ports import Transition

PROD = Key("acme", "shop", "prod")
STAGING = Key("acme", "shop", "staging")
ZOO = Key("zoo", "app", "prod")


EVIDENCE = Evidence(
    log_e=1.5,
    log_e_errors=1.25,
    log_e_latency=0.0,
    log_e_alone=0.0,
    log_e_budget=0.5,
    log_e_control=0.25,
    share_bar=0.01,
    ratio_bar=2.0,
    ratio_low=0.5,
    ratio_high=inf,
    gamma_fail=1.0,
    gamma_pass=1.0,
    gamma_latency=(),
    edges=(),
    slow=(),
    discarded=0,
)
NUMBERS = Analysis(
    verdict=Verdict.INCONCLUSIVE,
    reason="2 of 40 requests failed",
    dwell=12.5,
    step_requests=30,
    canary_requests=40,
    canary_failed=2,
    control_requests=900,
    control_failed=1,
    evidence=EVIDENCE,
    hard_stop=False,
)


def desired(key: Key, version: str = "v1") -> DesiredState:
    steps = (Step(500, 10.0), Step(10_000, 10.0))
    return DesiredState(
        key=key,
        artifact=Artifact("https://user:hunter2@git.example/shop.git", version[-1] * 40, version),
        target="process",
        spec='{"command":["run"]}',
        runtime="{}",
        instances=2,
        port=8080,
        router="envoy",
        strategy=Strategy(StrategyKind.CANARY, steps, 600.0, 3600.0, 300.0),
        analysis=AnalysisPolicy(),
        after=(),
        commit="c" * 40,
        path="shop/prodsprint.yaml",
    )


def release(key: Key, version: str = "v1") -> Release:
    asked = desired(key, version)
    return Release(release_digest(asked), asked)


def instances(one: Release, status: InstanceStatus = InstanceStatus.READY) -> tuple[Instance, ...]:
    return tuple(Instance(f"{one.digest[:4]}-{n}", one.digest, n, status, f"127.0.0.1:90{n}0") for n in range(2))


def steady(key: Key) -> EnvironmentView:
    """v1 serves, and git asks for v1."""
    v1 = release(key)
    state = KeyState(key, revision=3, generation=2, attempts=1, stable=v1, certified=(v1,))
    seen = Observed(instances(v1), Traffic(8080, Backend(v1.digest, ("127.0.0.1:9000",)), None, 0))
    return EnvironmentView(key, v1.desired, state, seen)


def rolling(key: Key, phase: Phase = Phase.STEPPING) -> EnvironmentView:
    """v1 serves 95 %, v2 is tried with 5 %."""
    v1, v2 = release(key), release(key, "v2")
    at = Instant(1_700_000_000.25, 5.0, "boot")
    attempt = Rollout(2, RolloutKind.RELEASE, v2, phase, 0, at, at)
    view = steady(key)
    split = Traffic(8080, Backend(v1.digest, ("127.0.0.1:9000",)), Backend(v2.digest, ("127.0.0.1:9001",)), 500)
    return replace(
        view,
        desired=v2.desired,
        state=replace(view.state, rollout=attempt, attempts=2),
        observed=Observed(instances(v1) + instances(v2), split),
        analysis=NUMBERS,
    )


@dataclass
class World:
    """Implements ``Application``."""

    store: object
    views: dict[Key, EnvironmentView] = field(default_factory=dict)
    answering: bool = True
    submitted: list[tuple] = field(default_factory=list)
    wrong: tuple[str, ...] = ()

    def listed(self) -> tuple[Key, ...]:
        return tuple(self.views)

    def environment(self, key: Key) -> EnvironmentView | None:
        return self.views.get(key)

    def problems(self) -> tuple[str, ...]:
        return self.wrong

    def submit(self, key, verb, who, reason, until) -> int:
        self.submitted.append((key, verb, who, reason, until))
        request = self.store.submit(key, Request(0, verb, who, reason, 1000.0, until))
        if self.answering:
            self.happen(key, f"{verb} decided", answers=(Answer(request, verb != "abort", f"{verb}: seen"),))
        return request

    def replay(self, letter: int) -> bool:
        return self.store.replay(letter)

    def happen(self, key: Key, *messages: str, answers: tuple[Answer, ...] = ()) -> None:
        """Commit a transition with one record a message."""
        state = self.store.load(key)
        records = tuple(Record("test.happened", "daemon", message) for message in messages)
        self.store.commit(Transition(replace(state, revision=state.revision + 1), records, answers, 1000.0, "{}"))


@contextmanager
def api(app: World, folder: Path, **settings):
    """The server on a free port, on a thread; gives its address."""
    asked = ApiSettings(**{"address": "127.0.0.1:0", "token_file": folder / "token", **settings})
    stop, up, addresses, faults = threading.Event(), threading.Event(), [], []

    def run() -> None:
        try:
            serve(app, asked, SystemClock(), lambda address: (addresses.append(address), up.set()), stop)
        except BaseException as error:  # noqa: BLE001  # handed to the test's own thread
            faults.append(error)
            up.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert up.wait(20)
        if faults:
            raise faults[0]
        yield addresses[0]
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        if faults:
            raise faults[0]


def bearer(folder: Path) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {(folder / 'token').read_text().strip()}"),)


class Authorized(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds the token to every call of a channel."""

    def __init__(self, folder: Path) -> None:
        self._metadata = bearer(folder)

    def _call(self, continuation, details, request):
        return continuation(details._replace(metadata=self._metadata), request)

    intercept_unary_unary = intercept_unary_stream = _call


@contextmanager
def channel(address: str, folder: Path):
    """An authorised channel."""
    with grpc.insecure_channel(address) as plain:
        yield grpc.intercept_channel(plain, Authorized(folder))
