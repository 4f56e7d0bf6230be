"""A project of two components, from its manifest to traffic and back, on everything real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from envoys import require_envoy
from ground import COMMAND, Ground, ground

from reconciler.demo.stage import free_port

PORTS = {"shop": 0, "worker": 0}
"""Filled in by the fixture: the ground knows traffic by project, and so the first component is called like it."""


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    require_envoy()
    with ground() as found:
        for name in PORTS:
            PORTS[name] = found.ports[name] = free_port()
        yield found


def want(place: Ground, shop: str, worker: str) -> None:
    def component(name: str, version: str) -> dict[str, Any]:
        return {"name": name, "version": version}

    release = {"steps": ["50%", "100%"], "bake": "400ms", "drain": "100ms", "progressDeadline": "20s"}
    analysis = {"interval": "200ms", "errorBudget": "10%"}
    document = {
        "apiVersion": "prodsprint/v1",
        "kind": "Project",
        "name": "shop",
        "source": place.service.folder.as_uri(),
        "process": {"command": COMMAND, "health": "/healthz", "healthInterval": "200ms", "stopDeadline": "2s"},
        "components": [component("shop", shop), component("worker", worker)],
        "environments": [{"name": "prod", "ports": PORTS, "release": release, "analysis": analysis}],
    }
    place.commit(shop=json.dumps(document))


def test_two_components_go_together_and_come_back_together(place: Ground) -> None:
    want(place, "v1", "v1")
    assert place.ended("shop", 1).result == "promoted"
    place.traffic("shop", "worker")
    want(place, "v2", "v2")
    last = place.ended("shop", 2)
    assert (last.result, last.version) == ("promoted", "shop and worker v2")
    want(place, "v3", "bad")
    last = place.ended("shop", 3)
    assert (last.result, last.version) == ("rolled_back", "shop v3, worker bad")
    found = place.environment("shop")
    assert [(one.name, one.version) for one in found.stable.components] == [("shop", "v2"), ("worker", "v2")]
    assert "shop and worker v2 serve, git asks for shop v3, worker bad" in place.why("shop")
    shop, worker = place.end_traffic("shop"), place.end_traffic("worker")
    assert not shop.failed
    assert set(shop.answered) <= {"v1", "v2", "v3"}
    assert not worker.failed
    assert all(not statuses.keys() - {"200"} for version, statuses in worker.answered.items() if version != "bad")
