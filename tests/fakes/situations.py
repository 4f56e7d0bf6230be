"""Every state an attempt can be in, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from fakes.scene import Scene
from fakes.values import desired

from reconciler.core.desired import OnDelete
from reconciler.core.state import Phase, Verb
from reconciler.core.state import retired as is_retired


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


def kept() -> Scene:
    scene = idle_with_history()
    scene.remove()
    scene.look()
    return scene


def retiring() -> Scene:
    scene = idle_with_history()
    scene.remove(OnDelete.DESTROY)
    scene.look()
    return scene


def retired() -> Scene:
    scene = retiring()
    scene.until(is_retired)
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
        kept,
        retiring,
        retired,
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
    "kept": lambda state: state.stable is not None and state.retirement is None,
    "retiring": lambda state: state.stable is not None and state.retirement.ended is None,
    "retired": lambda state: state.stable is None and state.retirement.ended is not None and state.certified,
}
"""What makes a state worth its name, where the scene could quietly have taken another way."""
