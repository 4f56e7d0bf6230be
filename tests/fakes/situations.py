"""Every state an attempt can be in, and every thing that can happen in it, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from fakes.scene import Scene
from fakes.values import desired

from reconciler.core.observed import InstanceStatus, Observed, Reading, Tick
from reconciler.core.state import Phase, Verb

Change = Callable[[Scene], None]


def nothing() -> Scene:
    return Scene()


def first_starting() -> Scene:
    scene = Scene(desired=desired("v1"))
    scene.look()
    return scene


def first_serving() -> Scene:
    scene = first_starting()
    scene.baking()
    scene.tick()
    return scene


def idle() -> Scene:
    scene = Scene()
    scene.certify("v1")
    return scene


def idle_with_history() -> Scene:
    scene = idle()
    scene.certify("v2")
    return scene


def starting() -> Scene:
    scene = idle_with_history()
    scene.commit("v3")
    scene.look()
    return scene


def baking() -> Scene:
    scene = starting()
    scene.tick(stable=(10_000, 10), canary=(0, 0))
    scene.baking()
    scene.tick()
    return scene


def second_step_starting() -> Scene:
    scene = baking()
    scene.bake()
    scene.look()
    return scene


def last_step() -> Scene:
    scene = second_step_starting()
    scene.baking()
    scene.bake()
    scene.look()
    scene.baking()
    return scene


def held() -> Scene:
    scene = baking()
    scene.bake(310.0, canary=(0, 0), stable=(10, 0))
    scene.look()
    return scene


def promoting() -> Scene:
    scene = last_step()
    scene.bake()
    scene.look()
    return scene


def draining() -> Scene:
    scene = promoting()
    scene.obey()
    scene.obey()
    return scene


def rolling_back() -> Scene:
    scene = baking()
    scene.bake(canary=(1000, 250))
    scene.look()
    return scene


def rolled_back() -> Scene:
    scene = rolling_back()
    scene.drained()
    return scene


def superseded() -> Scene:
    scene = baking()
    scene.commit("v4")
    scene.look()
    return scene


def restoring() -> Scene:
    scene = idle_with_history()
    scene.ask(Verb.ROLLBACK)
    scene.look()
    return scene


def paused() -> Scene:
    scene = baking()
    scene.ask(Verb.PAUSE)
    scene.look()
    return scene


def _once(make: Callable[[], Scene]) -> Callable[[], Scene]:
    """Made once and copied: everything in a scene but the scene itself is immutable."""
    made = cache(make)
    return lambda: replace(made())


STATES: dict[str, Callable[[], Scene]] = {
    make.__name__: _once(make)
    for make in (
        nothing,
        first_starting,
        first_serving,
        idle,
        idle_with_history,
        starting,
        baking,
        second_step_starting,
        last_step,
        held,
        promoting,
        draining,
        rolling_back,
        rolled_back,
        superseded,
        restoring,
        paused,
    )
}
EXPECTED = {
    "held": lambda state: state.rollout.held is not None,
    "promoting": lambda state: state.rollout.phase is Phase.PROMOTING and state.rollout.confirmed is None,
    "draining": lambda state: state.rollout.phase is Phase.PROMOTING and state.rollout.confirmed is not None,
    "rolling_back": lambda state: state.rollout.phase is Phase.ROLLING_BACK and state.quarantined,
    "superseded": lambda state: state.rollout.phase is Phase.ROLLING_BACK and not state.quarantined,
    "last_step": lambda state: state.rollout.step == 2 and state.rollout.confirmed is not None,
    "second_step_starting": lambda state: state.rollout.step == 1 and state.rollout.confirmed is None,
    "paused": lambda state: state.pause is not None,
}
"""What makes a state worth its name, where the scene could quietly have taken another way."""


# --- what can happen -------------------------------------------------------------------------------------------------


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
    "manifest broken": _set(problem="prodsprint.yaml:3:1: unknown key"),
    "clock an hour ahead": _set(jump=3600.0),
    "clock an hour back": _set(jump=-3600.0),
    "abort twice": _ask(Verb.ABORT, Verb.ABORT),
    "promote and abort": _ask(Verb.PROMOTE, Verb.ABORT),
    "rollback twice": _ask(Verb.ROLLBACK, Verb.ROLLBACK),
    **{f"asked to {verb}": _ask(verb) for verb in Verb},
}
