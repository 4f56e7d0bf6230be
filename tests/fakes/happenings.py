"""Every thing that can happen to an attempt, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fakes.scene import Scene

from reconciler.core.desired import OnDelete
from reconciler.core.observed import InstanceStatus, Observed, Reading, Tick
from reconciler.core.state import Verb

Change = Callable[[Scene], None]


def _candidate(scene: Scene) -> str | None:
    return scene.state.rollout.release.digest if scene.state.rollout else None


def _instances(scene: Scene, digest: str | None, **changes: object) -> None:
    found = tuple(replace(one, **changes) if one.digest == digest else one for one in scene.observed.instances)
    scene.observed = replace(scene.observed, instances=found)


def regressed(scene: Scene) -> None:
    if scene.state.rollout is not None:
        scene.bake(canary=(1000, 300))


def crashed(scene: Scene) -> None:
    _instances(scene, _candidate(scene), restarts=1, status=InstanceStatus.BACKING_OFF, message="it went down")


def failed(scene: Scene) -> None:
    _instances(scene, _candidate(scene), status=InstanceStatus.FAILED, message="exit status 3")


def stable_down(scene: Scene) -> None:
    stable = scene.state.stable
    _instances(scene, stable.digest if stable else None, status=InstanceStatus.BACKING_OFF, endpoint="")


def all_gone(scene: Scene) -> None:
    scene.observed = Observed()


def metrics_down(scene: Scene) -> None:
    rollout = scene.state.rollout
    if rollout is None:
        return
    for _ in range(30):
        scene.seconds += 2.0
        reading = Reading(scene.inputs().now, error="connection refused")
        scene.ticks = (*scene.ticks, Tick(rollout.attempt, len(scene.ticks) + 1, rollout.step, 0, reading))


def no_data(scene: Scene) -> None:
    if scene.state.rollout is not None:
        scene.bake(80.0, canary=(0, 0))


def unobservable(scene: Scene) -> None:
    scene.observed = Observed(error="connection refused")


def long_passed(scene: Scene) -> None:
    scene.seconds += 86_400.0


def rebooted(scene: Scene) -> None:
    scene.boot = "boot-2"
    scene.observed = replace(scene.observed, traffic=None)
    for digest in {one.digest for one in scene.observed.instances}:
        _instances(scene, digest, status=InstanceStatus.STARTING)


def _set(**changes: object) -> Change:
    def change(scene: Scene) -> None:
        for name, value in changes.items():
            setattr(scene, name, value)

    return change


def _commit(version: str, **changes: object) -> Change:
    return lambda scene: scene.commit(version, **changes)


def _ask(*verbs: Verb) -> Change:
    return lambda scene: [scene.ask(verb) for verb in verbs] and None


EVENTS: dict[str, Change] = {
    "nothing": lambda _: None,
    "regressed": regressed,
    "crashed": crashed,
    "failed": failed,
    "stable down": stable_down,
    "all gone": all_gone,
    "metrics down": metrics_down,
    "no data": no_data,
    "unobservable": unobservable,
    "deadline passed": long_passed,
    "machine restarted": rebooted,
    "new commit": _commit("v9"),
    "commit reverts": _commit("v1"),
    "same release, other commit": lambda scene: scene.commit(
        "v1" if scene.desired is None else scene.desired.artifact.version, commit="f" * 40
    ),
    "more instances": lambda scene: scene.commit(
        "v1" if scene.desired is None else scene.desired.artifact.version, instances=5
    ),
    "manifest gone": _set(desired=None),
    "manifest removed": lambda scene: scene.remove(),
    "manifest removed, all to be destroyed": lambda scene: scene.remove(OnDelete.DESTROY),
    "manifest broken": _set(problem="prodsprint.yaml:3:1: unknown key"),
    "clock an hour ahead": _set(jump=3600.0),
    "clock an hour back": _set(jump=-3600.0),
    "abort twice": _ask(Verb.ABORT, Verb.ABORT),
    "promote and abort": _ask(Verb.PROMOTE, Verb.ABORT),
    "rollback twice": _ask(Verb.ROLLBACK, Verb.ROLLBACK),
    **{f"asked to {verb}": _ask(verb) for verb in Verb},
}
