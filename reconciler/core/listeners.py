"""The listeners of a release unit: which of them serves which component, and what all of them together come to.

A listener is named like its component (``core.components.part_key``), but for one: that of the key itself goes on serving
its port as long as a component has that port, so that no request is lost when a single service becomes several, or
several become one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.core.components import Lane, lanes, part_key, parts
from reconciler.core.desired import Key, Release
from reconciler.core.merge import Endpoints, merged, routed_texts
from reconciler.core.observed import Backend, Instance, InstanceStatus, Traffic
from reconciler.core.state import KeyState, Route, SetRoute

Slots = Mapping[Key, Traffic | None]
"""What the router has in force, by listener."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The services of one key, by the releases that its plan names."""

    key: Key
    releases: Mapping[str, Release]
    route: Route | None
    """The split that the plan asks for."""
    keys: tuple[Key, ...]
    """Under which adapters may know something of it: the key itself first."""

    @property
    def single(self) -> bool:
        """Whether there is one service, so that nothing has to be taken apart or joined."""
        return len(self.keys) == 1

    # --- observe -----------------------------------------------------------------------------------------------------

    def joined(
        self, found: Mapping[Key, Iterable[Instance]], slots: Slots | None
    ) -> tuple[tuple[Instance, ...], Traffic | None]:
        """Instances and traffic as the core knows them; ``slots`` is None when the router could not be observed."""
        if self.single:
            return tuple(found[self.key]), slots[self.key] if slots else None
        serving = {digest for traffic in (slots or {}).values() for digest in digests(traffic)}
        instances = self._instances(found, serving)
        if slots is None:
            return tuple(instances), None
        places = self.places(self.lanes(self.route), slots)
        return tuple(instances + self._ghosts(places, slots)), self._traffic(places, slots, instances)

    def _instances(self, found: Mapping[Key, Iterable[Instance]], serving: set[str]) -> list[Instance]:
        by_digest: dict[str, dict[str, list[Instance]]] = {}
        for key, some in found.items():
            for one in some:
                by_digest.setdefault(one.digest, {}).setdefault(_name(key, self.key), []).append(one)
        instances: list[Instance] = []
        for digest in sorted(by_digest):
            release = self.releases.get(digest)
            if release is not None and release.desired.components:
                instances += merged(release, by_digest[digest], serves=digest in serving)
            else:
                instances += [one for some in by_digest[digest].values() for one in some]
        return instances

    def _ghosts(self, places: Mapping[Key, Lane], slots: Slots) -> list[Instance]:
        """Listeners of what the split does not name: shown as what is left of its release, until they are closed."""
        mine = named(self.route)
        return [
            Instance(f"listener {traffic.port}", digest, 0, InstanceStatus.STOPPING, message="its port is still served")
            for key, traffic in slots.items()
            if traffic is not None and key not in places
            for digest in sorted(digests(traffic) - mine)
        ]

    def _traffic(self, places: Mapping[Key, Lane], slots: Slots, instances: list[Instance]) -> Traffic | None:
        """The split, when all listeners have it in force; else what shows that they have not."""
        served = [traffic for key in places or slots if (traffic := slots[key]) is not None]
        if not served:
            return None
        whole = self._routed(places, slots)

        def side(digest: str | None) -> Backend | None:
            return None if digest is None else Backend(digest, self._texts(digest, whole.get(digest, {}), instances))

        route, wrong = self.route, [key for key, lane in places.items() if not _has(slots[key], lane, self.route)]
        if route is not None and places and not wrong and not _own_leftovers(route, places, slots):
            return Traffic(route.port, side(route.stable), side(route.canary), route.weight)
        stable, canary = (_other([getattr(one, role) for one in served], route, role) for role in ("stable", "canary"))
        behind = [one for key in wrong if (one := slots[key])] or served
        weight = next((one.weight for one in behind if route is None or one.weight != route.weight), behind[0].weight)
        same = route == Route(served[0].port, stable, canary, weight)
        return Traffic(0 if same else served[0].port, side(stable), side(canary), weight)

    def _routed(self, places: Mapping[Key, Lane], slots: Slots) -> dict[str, Endpoints]:
        """The endpoints that the router has for each release, by component."""
        found: dict[str, Endpoints] = {}
        for key, traffic in slots.items():
            lane = places.get(key)
            for backend in (traffic.stable, traffic.canary) if traffic else ():
                if backend is not None:
                    name = _part_name(lane, backend.digest, self.route) if lane else _name(key, self.key)
                    some = found.setdefault(backend.digest, {})
                    some[name] = tuple(dict.fromkeys((*some.get(name, ()), *backend.endpoints)))
        return found

    def _texts(self, digest: str, routed: Endpoints, instances: list[Instance]) -> tuple[str, ...]:
        release = self.releases.get(digest)
        if release is not None and not release.desired.components:
            return routed.get("", ())
        return routed_texts((one for one in instances if one.digest == digest), routed)

    # --- listeners ---------------------------------------------------------------------------------------------------

    def lanes(self, route: Route | None) -> tuple[Lane, ...]:
        """The listeners of a split between two of its releases."""
        if route is None:
            return ()
        stable, canary = (self.releases.get(digest or "") for digest in (route.stable, route.canary))
        return lanes(stable.desired if stable else None, canary.desired if canary else None, route.weight)

    def places(self, wanted: tuple[Lane, ...], slots: Slots) -> dict[Key, Lane]:
        """Which listener serves which lane: its own, but for the one that the listener of the key itself serves."""
        mine = slots[self.key]
        kept = next((lane for lane in wanted if mine is not None and lane.port == mine.port), None)
        if kept is None and wanted:
            own = slots.get(part_key(self.key, wanted[0].name))
            unserved = own is None or own is mine or own.port != wanted[0].port
            kept = wanted[0] if unserved else None
        return {self.key if lane is kept else part_key(self.key, lane.name): lane for lane in wanted}


def unit_of(state: KeyState) -> Unit:
    """The services that the plan of a key is about."""
    plan = state.plan
    releases = plan.releases if plan else ()
    routes = [action.route for action in plan.actions if isinstance(action, SetRoute)] if plan else []
    return Unit(
        state.key, {one.digest: one for one in releases}, routes[-1] if routes else None, keys_of(state.key, releases)
    )


def keys_of(key: Key, releases: Iterable[Release]) -> tuple[Key, ...]:
    """A key, and those of all components that its releases have."""
    named = (part_key(key, part.name) for one in releases if one.desired.components for part in parts(one.desired))
    return tuple(dict.fromkeys((key, *named)))


# --- one listener ----------------------------------------------------------------------------------------------------


def _name(key: Key, of: Key) -> str:
    return key.environment[len(of.environment) + 1 :]


def digests(traffic: Traffic | None) -> set[str]:
    """The releases on the sides of a listener."""
    return {side.digest for side in (traffic.stable, traffic.canary) if side} if traffic else set()


def named(route: Route | None) -> set[str]:
    """The releases that a split is between."""
    return {digest for digest in (route.stable, route.canary) if digest} if route else set()


def _has(found: Traffic | None, lane: Lane, route: Route | None) -> bool:
    """Whether a listener has its part of the split in force, whatever the endpoints."""
    if found is None or route is None:
        return False
    wanted = (
        lane.port,
        route.stable if lane.stable else None,
        route.canary if lane.canary else None,
        lane.weight,
    )
    stable, canary = (side.digest if side else None for side in (found.stable, found.canary))
    return wanted == (found.port, stable, canary, found.weight)


def _own_leftovers(route: Route, places: Mapping[Key, Lane], slots: Slots) -> bool:
    """Whether what the split names is served by a listener more than it should be."""
    return any(one and key not in places and digests(one) <= named(route) for key, one in slots.items())


def _other(sides: list[Backend | None], route: Route | None, role: str) -> str | None:
    """The release on one side of the listeners; where they disagree, one that the split does not ask for."""
    found = [side.digest for side in sides if side is not None]
    asked = getattr(route, role) if route else None
    return next((one for one in found if one != asked), found[0] if found else None)


def _part_name(lane: Lane, digest: str, route: Route | None) -> str:
    if route is not None and digest == route.canary and lane.canary is not None:
        return lane.canary.name
    return lane.name
