"""What every router has to do, with real requests through it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import pytest
from envoys import answers, ended, host, put, require_envoy, side
from http_traffic import Backend, Load, free_port, get, tally
from waiting import eventually

from reconciler import registry
from reconciler.core.desired import FULL_WEIGHT, Key
from reconciler.core.observed import Traffic
from reconciler.core.outcome import StaleGenerationError, TerminalError, TransientError
from reconciler.ports import Router, RouterKind

REQUIRED = {"envoy": require_envoy}


@dataclass
class World:
    kind: RouterKind
    router: Router
    data: object
    port: int
    key: Key
    one: Backend
    two: Backend

    def put(self, traffic: Traffic, generation: int = 1) -> None:
        put(self.router, traffic, generation, self.key)

    def split(self, weight: int) -> Traffic:
        return Traffic(self.port, side("a", self.one.endpoint), side("b", self.two.endpoint), weight)

    def only_stable(self) -> Traffic:
        return Traffic(self.port, side("a", self.one.endpoint), None, 0)


@pytest.fixture(scope="module", params=registry.names("routers"))
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, ...]]:
    REQUIRED[request.param]()
    kind = registry.router(request.param)
    with ended(tmp_path_factory.mktemp("r")) as data:
        router = kind.open(host(data))
        eventually(lambda: answers(router), what="the router answers")
        yield kind, router, data
        router.close()


@pytest.fixture
def world(opened: tuple[object, ...], request: pytest.FixtureRequest) -> Iterator[World]:
    kind, router, data = opened
    key = Key("shop", "cart", f"t{zlib.crc32(request.node.name.encode()):08x}")
    one, two = Backend("one"), Backend("two")
    world = World(kind, router, data, free_port(), key, one, two)
    try:
        yield world
        world.put(Traffic(world.port, None, None, 0), 1000)
    finally:
        one.close()
        two.close()


def test_serves_nothing_for_a_key_it_does_not_know(world: World) -> None:
    assert world.router.observe(Key("no", "such", "key")) is None


def test_first_release_gets_everything(world: World) -> None:
    traffic = Traffic(world.port, None, side("b", world.two.endpoint), FULL_WEIGHT)
    world.put(traffic)
    assert world.router.observe(world.key) == traffic
    assert tally(world.port, 40) == {"two": 40}


@pytest.mark.parametrize("weight", [0, 100, 500, 2500, FULL_WEIGHT])
def test_splits_as_asked(world: World, weight: int) -> None:
    world.put(world.split(weight))
    requests, share = 3000, weight / FULL_WEIGHT
    found = tally(world.port, requests)
    assert sum(found.values()) == found["one"] + found["two"] == requests
    # Five standard deviations: a right split fails about once in a million runs.
    assert abs(found["two"] - requests * share) <= 5 * sqrt(requests * share * (1 - share))


def test_applying_again_changes_nothing(world: World) -> None:
    for _ in range(3):
        world.put(world.split(500))
    assert world.router.observe(world.key) == world.split(500)


def test_no_request_fails_and_no_connection_is_cut_while_everything_changes(world: World) -> None:
    world.put(world.only_stable())
    generation = 1
    with Load(world.port, clients=3) as load:
        for _ in range(5):
            for traffic in (
                *(world.split(weight) for weight in (100, 500, 2500, FULL_WEIGHT)),
                Traffic(world.port, side("b", world.two.endpoint), None, 0),
                Traffic(world.port, side("b", world.two.endpoint), side("a", world.one.endpoint), 5000),
                world.only_stable(),
            ):
                generation += 1
                world.put(traffic, generation)
                seen = load.total
                eventually(lambda seen=seen: load.total > seen + 20, what="requests go on")
    found = load.stop()
    assert set(found) == {"one", "two"}
    assert load.connections == 3


def test_a_request_in_flight_ends_well_when_its_side_loses_its_traffic_and_its_endpoints(world: World) -> None:
    world.put(world.split(FULL_WEIGHT))
    slow = Load(world.port, "/wait", clients=1, each=1)
    assert world.two.waiting.wait(5)
    world.put(world.only_stable(), 2)
    world.two.release.set()
    slow.join()
    assert slow.answers == {"two": 1}


def test_an_older_generation_is_refused_and_changes_nothing(world: World) -> None:
    world.put(world.split(500), 7)
    with pytest.raises(StaleGenerationError, match="6 is older than 7"):
        world.router.apply(world.key, world.only_stable(), 6)
    assert world.router.observe(world.key) == world.split(500)
    world.router.apply(world.key, world.split(500), 7)


def test_an_older_generation_is_refused_by_a_router_opened_later(world: World) -> None:
    world.put(world.split(500), 7)
    later = world.kind.open(host(world.data))
    with pytest.raises(StaleGenerationError):
        later.apply(world.key, world.only_stable(), 6)
    later.close()


def test_a_removed_key_is_served_no_more_and_its_generation_still_fences(world: World) -> None:
    world.put(world.split(500), 3)
    world.put(Traffic(world.port, None, None, 0), 4)
    with pytest.raises(ConnectionRefusedError):
        get(world.port)
    with pytest.raises(StaleGenerationError):
        world.router.apply(world.key, world.split(500), 3)


def test_a_new_port_replaces_the_old_one(world: World) -> None:
    world.put(world.only_stable())
    moved = Traffic(free_port(), side("a", world.one.endpoint), None, 0)
    world.put(moved, 2)
    assert get(moved.port) == (200, "one")
    with pytest.raises(ConnectionRefusedError):
        get(world.port)


def test_a_side_without_endpoints_fails_fast_and_is_reported_as_it_is(world: World) -> None:
    traffic = Traffic(world.port, side("a"), None, 0)
    world.put(traffic)
    assert get(world.port)[0] == 503
    world.put(world.only_stable(), 2)
    assert get(world.port) == (200, "one")


@pytest.mark.parametrize(
    ("stable", "canary", "weight", "words"),
    [
        (None, "a", 9999, "0.01 % .* stable"),
        ("a", None, 1, "canary"),
        ("a", "b", 10_001, "10001"),
        ("a", "b", -1, "-1"),
    ],
)
def test_a_split_that_cannot_be_is_refused(world: World, stable: str, canary: str, weight: int, words: str) -> None:
    sides = [name and side(name, world.one.endpoint) for name in (stable, canary)]
    with pytest.raises(TerminalError, match=words):
        world.router.apply(world.key, Traffic(world.port, *sides, weight), 1)


def test_keys_do_not_touch_each_other(world: World) -> None:
    world.put(world.only_stable())
    other, port = Key("shop", "cart-v2", "prod"), free_port()
    put(world.router, Traffic(port, side("b", world.two.endpoint), None, 0), key=other)
    with Load(port, clients=1) as load:
        for weight in (100, 9000, FULL_WEIGHT):
            world.put(world.split(weight), 2)
        world.put(Traffic(world.port, None, None, 0), 3)
    assert set(load.stop()) == {"two"}
    assert load.connections == 1
    put(world.router, Traffic(port, None, None, 0), 2, other)


def test_two_keys_cannot_have_one_port(world: World) -> None:
    world.put(world.only_stable())
    with pytest.raises(TransientError, match=f"port {world.port} of shop/cart/staging belongs to {world.key}"):
        world.router.apply(Key("shop", "cart", "staging"), world.only_stable(), 1)


def test_a_dead_instance_costs_no_request(world: World) -> None:
    world.put(Traffic(world.port, side("a", world.one.endpoint, world.two.endpoint), None, 0))
    with Load(world.port, clients=3) as load:
        eventually(lambda: load.answers["one"] > 50 and load.answers["two"] > 50, what="both serve")
        world.two.close()
        seen = load.total
        eventually(lambda: load.total > seen + 500, what="requests go on")
    assert set(load.stop()) == {"one", "two"}
    assert load.connections == 3
