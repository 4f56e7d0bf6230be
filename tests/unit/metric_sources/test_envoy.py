from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from envoys import KEY, answers, ended, host, put, require_envoy, side
from http_traffic import Backend, free_port, stopwatch, tally
from raw_server import HEAD, Script, serving
from waiting import eventually

from reconciler.core.observed import Traffic
from reconciler.metric_sources.envoy import Config, EnvoyMetrics
from reconciler.ports import Host
from reconciler.routers.envoy import EnvoyRouter


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "admin").write_text(str(tmp_path / "sock"))
    return tmp_path


def source(folder: Path) -> EnvoyMetrics:
    return EnvoyMetrics(host(folder), Config(router=folder))


def test_what_the_service_says_and_what_envoy_says_for_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    require_envoy()
    backend, data = Backend("one"), tmp_path_factory.mktemp("u")
    envoy = data / "routers" / "envoy"
    envoy.mkdir(parents=True)
    try:
        with ended(envoy):
            router, port = EnvoyRouter(host(envoy)), free_port()
            eventually(lambda: answers(router), what="Envoy answers")
            put(router, Traffic(port, side("a", backend.endpoint), None, 0))
            found = EnvoyMetrics(host(data / "metric_sources" / "envoy"), Config())
            assert found.read(KEY).stable.sent == 0
            assert tally(port, 1, "/fail", clients=1) == {"500": 1}
            assert tally(port, 1, "/busy", clients=1) == {"503": 1}
            assert tally(port, 4, clients=1) == {"one": 4}
            eventually(lambda: _outcome(found) == (6, 5, 2), what="500 is an answer, 503 is none, both failed")
            assert tally(port, 3, "/cut", clients=3) == {"IncompleteRead": 3}
            eventually(lambda: _outcome(found) == (9, 8, 3), what="answers that are cut off have failed")
            eventually(lambda: found.read(KEY).stable.timed == 6, what="six complete answers are timed")
    finally:
        backend.close()


def _outcome(source: EnvoyMetrics) -> tuple[int, int, int]:
    side = source.read(KEY).stable
    return side.sent, side.answered, side.failed


class Watch:
    """A clock that stands until it is told otherwise."""

    def __init__(self, given: Host) -> None:
        self._now = given.clock.now()
        self.moved = 0.0

    def now(self):
        return type(self._now)(self._now.wall + self.moved, self._now.mono + self.moved, self._now.boot)


def stats(*rows: dict[str, object]) -> bytes:
    return HEAD + json.dumps({"stats": rows}).encode()


def row(role: str, name: str, value: int) -> dict[str, object]:
    return {"name": f"vhost.{KEY}.route.{KEY.side(role)}.upstream_rq_{name}", "value": value}


def test_looks_within_a_fifth_of_a_second_share_one_scrape(admin: Path) -> None:
    script = Script(stats(row("stable", "total", 4)))
    given = host(admin)
    watch = Watch(given)
    with serving(script, admin / "sock"):
        shared = EnvoyMetrics(Host(admin, watch, given.checkouts), Config(router=admin))
        first = shared.read(KEY)
        watch.moved = 0.19
        assert shared.read(KEY) == first
        assert len(script.heard) == 1
        watch.moved = 0.21
        assert shared.read(KEY).at.since(first.at) > 0.2
        assert len(script.heard) == 2


def test_parts_read_at_different_moments_never_contradict_each_other(admin: Path) -> None:
    script = Script(stats(row("canary", "total", 4), row("canary", "5xx", 6), row("canary", "500", 6)))
    with serving(script, admin / "sock"):
        counters = source(admin).read(KEY).canary
    assert (counters.sent, counters.answered, counters.failed) == (6, 6, 6)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "status 503"),
        (HEAD + b"not JSON", "Expecting value"),
        (HEAD + b"{}", "stats"),
        (HEAD + b'{"stats": [{"name": "x", "value": "NaN"}]}', "NaN"),
        (HEAD + b'{"stats": [{"name": "x", "value": null}]}', "NoneType"),
        (HEAD + b"[" * 200_000, "recursion"),
        (b"", "closed without an answer"),
    ],
)
def test_a_bad_answer_is_an_error_and_never_a_number(admin: Path, answer: bytes, words: str) -> None:
    with serving(Script(answer), admin / "sock"):
        reading = source(admin).read(KEY)
    assert (reading.stable, reading.canary) == (None, None)
    assert words in reading.error
    assert reading.error.startswith("Envoy's statistics cannot be read: ")


def test_an_envoy_that_hangs_costs_a_second(admin: Path) -> None:
    begun = stopwatch()
    with serving(Script(hold=True), admin / "sock"):
        assert "within 1 s" in source(admin).read(KEY).error
    assert stopwatch() - begun < 2


def test_a_reading_after_a_bad_one_is_good_again(admin: Path) -> None:
    script = Script(b"")
    with serving(script, admin / "sock"):
        asked = source(admin)
        assert asked.read(KEY).error
        script.pieces = (stats(row("stable", "total", 4)),)
        assert asked.read(KEY).stable.sent == 4
