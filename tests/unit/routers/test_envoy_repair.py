"""What brings a router back that could not go on by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from envoys import KEY, answers, ended, host, put, require_envoy, side
from http_traffic import Backend, free_port, get
from waiting import eventually

from reconciler import proc
from reconciler.core.desired import Key
from reconciler.core.observed import Traffic
from reconciler.core.outcome import StaleGenerationError, TransientError
from reconciler.routers import _envoy_process
from reconciler.routers.envoy import EnvoyRouter

OTHERS = (Key("shop", "other", "prod"), Key("shop", "third", "prod"))


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    require_envoy()
    with ended(tmp_path / "e") as data:
        yield data


@pytest.fixture
def router(data: Path) -> EnvoyRouter:
    router = EnvoyRouter(host(data))
    eventually(lambda: answers(router), what="Envoy answers")
    return router


@pytest.fixture
def backend() -> Iterator[Backend]:
    backend = Backend("one")
    yield backend
    backend.close()


def test_stopped_but_not_ended_it_is_replaced_and_serves_again(
    data: Path, router: EnvoyRouter, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = Traffic(free_port(), side("a", backend.endpoint), None, 0)
    put(router, split)
    monkeypatch.setattr(_envoy_process, "ADMIN_TIMEOUT", 0.2)
    monkeypatch.setattr(_envoy_process, "SILENT_SECONDS", 0.5)
    before = proc.look(data / "process")
    assert before is not None
    assert before.pid is not None
    os.kill(before.pid, signal.SIGSTOP)

    def back() -> bool:
        try:
            return router.observe(KEY) == split
        except TransientError:
            return False

    eventually(back, 20, what="another Envoy serves")
    after = proc.look(data / "process")
    assert after is not None
    assert after.pid != before.pid
    assert get(split.port)[0] == 200


@pytest.mark.parametrize("number", [2, 3])
def test_keys_that_change_ports_round_a_circle_all_get_theirs(
    router: EnvoyRouter, backend: Backend, number: int
) -> None:
    keys = (KEY, *OTHERS)[:number]
    ports = [free_port() for _ in keys]
    for key, port in zip(keys, ports, strict=True):
        put(router, Traffic(port, side("a", backend.endpoint), None, 0), key=key)
    wanted = dict(zip(keys, (*ports[1:], ports[0]), strict=True))

    def asked() -> bool:
        for key, port in wanted.items():
            with suppress(TransientError):  # "belongs to": the others have not moved yet
                router.apply(key, Traffic(port, side("a", backend.endpoint), None, 0), 2)
        found = {key: router.observe(key) for key in keys}
        return {key: one and one.port for key, one in found.items()} == wanted

    eventually(asked, 10, what="all ports are changed")


def test_a_port_that_its_holder_keeps_costs_nobody_the_one_he_has(router: EnvoyRouter, backend: Backend) -> None:
    mine, theirs = (Traffic(free_port(), side("a", backend.endpoint), None, 0) for _ in range(2))
    put(router, mine)
    put(router, theirs, key=OTHERS[0])
    for _ in range(3):
        with pytest.raises(TransientError, match=f"port {theirs.port} of {KEY} belongs to {OTHERS[0]}"):
            router.apply(KEY, Traffic(theirs.port, mine.stable, None, 0), 2)
    assert router.observe(KEY) == mine


@pytest.mark.parametrize("content", ["", "x", "\0\0"])
def test_a_damaged_generation_is_forgotten_instead_of_refusing_all_that_follows(
    data: Path, router: EnvoyRouter, backend: Backend, content: str
) -> None:
    split = Traffic(free_port(), side("a", backend.endpoint), None, 0)
    put(router, split)
    (file,) = (data / "xds" / "generations").iterdir()
    file.write_text(content)
    router.apply(KEY, split, 5)
    with pytest.raises(StaleGenerationError):
        router.apply(KEY, split, 4)
