"""Ways to see how a key that no manifest asks for comes to rest."""

from __future__ import annotations

from fakes.scene import Scene

from reconciler.core.condition import find
from reconciler.core.observed import InstanceStatus
from reconciler.core.state import Condition, ConditionType


def ready(scene: Scene) -> Condition | None:
    return find(scene.state.conditions, ConditionType.READY)


def serving(scene: Scene) -> tuple[str, int]:
    """Digest that has all traffic, and how many of its instances are ready."""
    traffic = scene.observed.traffic
    assert traffic is not None
    assert traffic.weight == 0
    digest = traffic.stable.digest
    return digest, sum(one.digest == digest and one.status is InstanceStatus.READY for one in scene.observed.instances)


def rest(scene: Scene) -> list[str]:
    """Obey until nothing is in progress; the types of all records."""
    found: list[str] = []
    for _ in range(150):
        decision = scene.obey()
        found += [record.type for record in decision.records]
        if scene.state.rollout is None and decision.due.finished and not decision.changed:
            return found
        scene.seconds += 0.5
    raise AssertionError(f"it does not rest: {scene.state}")
