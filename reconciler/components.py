"""Several services as one release unit: fans what is asked for one key out to its components, and joins what they report.

An adapter knows a component by a key of its own (``core.components.part_key``), and need not know that there are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product

from reconciler.core.components import Lane, count_of, part_key, part_release, parts
from reconciler.core.desired import Component, Key, Release
from reconciler.core.listeners import Unit, digests, keys_of, named
from reconciler.core.merge import summed, taken_apart
from reconciler.core.observed import Backend, Instance, Observed, Reading, Traffic
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.state import KeyState, Route
from reconciler.ports import MetricsSource, Router, Target


def observe(
    unit: Unit, targets: Callable[[str], Target], kinds: Iterable[str], open_router: Callable[[], Router]
) -> Observed:
    """What targets of these kinds and the router report, as the core knows it."""
    found: dict[Key, list[Instance]] = {key: [] for key in unit.keys}
    errors: list[str] = []
    for key, kind in product(unit.keys, kinds):
        try:
            found[key].extend(targets(kind).observe(key))
        except (TransientError, TerminalError) as error:
            errors.append(str(error))
    whole = not errors
    slots: dict[Key, Traffic | None] | None = None
    # Each for itself: the way back needs the router, whatever has become of the target.
    try:
        router = open_router()
        slots = {key: router.observe(key) for key in unit.keys}
    except (TransientError, TerminalError) as error:
        errors.append(str(error))
    instances, traffic = unit.joined(found, slots)
    return Observed(instances, traffic, "; ".join(errors), instances_known=whole, traffic_known=slots is not None)


def apply_traffic(unit: Unit, router: Router, traffic: Traffic, generation: int) -> None:
    """Give each listener its split. What one of them refuses is raised when all the others have theirs."""
    if unit.single:
        router.apply(unit.key, traffic, generation)
        return
    sides = [side.digest if side else None for side in (traffic.stable, traffic.canary)]
    route = Route(traffic.port, sides[0], sides[1], traffic.weight)
    slots = {key: router.observe(key) for key in unit.keys}
    places = unit.places(unit.lanes(route), slots)
    ports = {lane.port: key for key, lane in places.items()}
    in_the_way = [key for key, one in slots.items() if one and ports.get(one.port, key) != key]
    left = [
        key for key, one in slots.items() if one and key not in places and (not places or digests(one) <= named(route))
    ]
    _all(
        *(_closing(router, key, slots[key], generation) for key in in_the_way if key in places),
        *(_moving(router, key, _split(lane, traffic, slots[key]), generation) for key, lane in places.items()),
        # Their port has been handed over, or was refused to whoever is to have it: then it is free for the next try.
        *(_closing(router, key, slots[key], generation) for key in slots if key in {*in_the_way, *left} - {*places}),
    )


def scale(
    unit: Unit, target: Target, open_router: Callable[[], Router], release: Release, count: int, generation: int
) -> None:
    """Work towards ``count`` instances of the first component, and their share of the others.

    Before the last instance goes, so do the listeners that nothing but this release has.
    """
    if unit.single:
        target.apply(unit.key, release, count, generation)
        return
    if count == 0:
        router = open_router()
        slots = {key: router.observe(key) for key in unit.keys}
        mine = [key for key, one in slots.items() if digests(one) == {release.digest}]
        _all(*(_closing(router, key, slots[key], generation) for key in mine))

    def scaling(part: Component) -> Callable[[], None]:
        number = count_of(part, release.desired.instances, count)
        key = part_key(unit.key, part.name)
        return lambda: target.apply(key, part_release(release, part), number, generation)

    _all(*map(scaling, parts(release.desired)))


def read(unit: Unit, metrics: MetricsSource) -> Reading:
    """The counters of all listeners together."""
    return metrics.read(unit.key) if unit.single else summed([metrics.read(key) for key in unit.keys])


def keep(target: Target, before: KeyState, state: KeyState, digests: frozenset[str]) -> None:
    """Drop cached artifacts of a key that belong to none of these releases, those of components that are gone included."""
    known = [release for one in (before, state) for release in (one.stable, *one.certified) if release is not None]
    tried = [one.rollout.release for one in (before, state) if one.rollout is not None]
    for key in keys_of(state.key, (*known, *tried)):
        target.keep(key, digests)


def _split(lane: Lane, traffic: Traffic, now: Traffic | None) -> Traffic:
    """A listener's own split. A component without an endpoint keeps those that the router has for it."""

    def side(part: Component | None, whole: Backend | None) -> Backend | None:
        if part is None or whole is None:
            return None
        there = (now.stable, now.canary) if now else ()
        had = next((one.endpoints for one in there if one and one.digest == whole.digest), ())
        return Backend(whole.digest, taken_apart(whole.endpoints).get(part.name, had))

    return Traffic(lane.port, side(lane.stable, traffic.stable), side(lane.canary, traffic.canary), lane.weight)


def _moving(router: Router, key: Key, traffic: Traffic, generation: int) -> Callable[[], None]:
    return lambda: router.apply(key, traffic, generation)


def _closing(router: Router, key: Key, now: Traffic | None, generation: int) -> Callable[[], None]:
    return _moving(router, key, Traffic(now.port if now else 0, None, None, 0), generation)


def _all(*steps: Callable[[], None]) -> None:
    """Do all of them, whatever becomes of one; then raise what the first one raised. A stale generation ends it at once."""
    trouble: list[TransientError | TerminalError] = []
    for step in steps:
        try:
            step()
        except (TransientError, TerminalError) as error:
            trouble.append(error)
    if trouble:
        raise trouble[0]
