"""Several services as one release unit: what a desired state says of each, who stands beside whom, and how many run.

To the rest of the core such a key has as many instances as its first component; ``merged`` makes it look so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.core.desired import FULL_WEIGHT, Component, DesiredState, Key, Release

AT = "@"
"""Between environment and component in the name of what a component has for itself; neither holds it."""


def parts(desired: DesiredState) -> tuple[Component, ...]:
    """Every component, in the order of the manifest; of a single service the one without a name."""
    first = Component(
        desired.component, desired.artifact, desired.spec, desired.runtime, desired.instances, desired.port
    )
    return (first, *desired.components)


def part_release(release: Release, part: Component) -> Release:
    """The release of one component alone, under the digest of the whole, as an adapter runs it."""
    desired = replace(
        release.desired,
        artifact=part.artifact,
        spec=part.spec,
        runtime=part.runtime,
        instances=part.instances,
        port=part.port,
        component=part.name,
        components=(),
    )
    return Release(release.digest, desired)


def part_key(key: Key, name: str) -> Key:
    """Under which adapters know one component of a key; a single service (no name) is known by the key itself."""
    return Key(key.workspace, key.project, f"{key.environment}{AT}{name}") if name else key


def owner(key: Key) -> tuple[Key, str]:
    """The key that a component's own key belongs to, and the component's name; (key, "") for the key itself."""
    environment, _, name = key.environment.partition(AT)
    return (Key(key.workspace, key.project, environment), name) if name else (key, "")


# --- words -----------------------------------------------------------------------------------------------------------


def version_of(desired: DesiredState) -> str:
    """The version for people: ``v2``, or with several components ``web and worker v2, mailer v7``."""
    if not desired.components:
        return desired.artifact.version
    by_version: dict[str, list[str]] = {}
    for part in parts(desired):
        by_version.setdefault(part.artifact.version, []).append(part.name)
    return ", ".join(f"{_listed(names)} {version}" for version, names in by_version.items())


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


# --- how many --------------------------------------------------------------------------------------------------------


def count_of(part: Component, whole: int, count: int) -> int:
    """Instances of a component that go with ``count`` of ``whole`` instances of the first one: rounded up."""
    return -(-part.instances * count // max(1, whole))


def share(part: Component, whole: int, ordinal: int) -> range:
    """Ordinals of a component's instances that come with one instance of the first; what runs beyond has its own."""
    if ordinal >= whole:
        beyond = part.instances + ordinal - whole
        return range(beyond, beyond + 1)
    return range(count_of(part, whole, ordinal), count_of(part, whole, ordinal + 1))


def carriers(part: Component, whole: int, ordinal: int) -> range:
    """Like ``share``, but never empty: where there are fewer of a component, several of the first share one."""
    own = share(part, whole, ordinal)
    return own or range(own.stop - 1, own.stop)


# --- who stands beside whom ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lane:
    """One listener of a split: its port, the component on each side, and the canary's share."""

    port: int
    stable: Component | None
    canary: Component | None
    weight: int

    @property
    def name(self) -> str:
        """The component that it is named after."""
        part = self.stable or self.canary
        return part.name if part else ""


def lanes(stable: DesiredState | None, canary: DesiredState | None, weight: int) -> tuple[Lane, ...]:
    """The listeners of a split between two releases.

    What only one of them has gets all requests to its port: nobody else could answer them. A component that only the canary
    has is not served as long as a component of stable has its port.
    """
    pairs = _pairs(parts(stable) if stable else (), parts(canary) if canary else ())
    found: list[Lane] = []
    ports: set[int] = set()
    for old, new in sorted(pairs, key=lambda pair: pair[0] is None):
        port = old.port if old else new.port if new else 0
        if port not in ports:
            ports.add(port)
            share_of_new = 0 if new is None else weight if old else FULL_WEIGHT
            found.append(Lane(port, old, new, share_of_new))
    return tuple(found)


Pair = tuple[Component | None, Component | None]


def _pairs(old: tuple[Component, ...], new: tuple[Component, ...]) -> list[Pair]:
    """Each component beside its successor: the one of its name, else of its port; a single service's is the first left."""
    left = list(new)
    found: dict[str, Component] = {}

    def match(one: Component, like: Component | None) -> None:
        if one.name not in found and like is not None:
            found[one.name] = like
            left.remove(like)

    for one in old:
        match(one, next((other for other in left if other.name == one.name), None))
    for one in (one for one in old if one.name not in found):
        match(one, next((other for other in left if other.port == one.port), None))
    single = (len(old) == 1 and not old[0].name) or (len(new) == 1 and not new[0].name)
    for one in (one for one in old if single and one.name not in found):
        match(one, next(iter(left), None))
    return [*((one, found.get(one.name)) for one in old), *((None, one) for one in left)]


def by_settings_of(old: DesiredState, now: DesiredState) -> DesiredState:
    """A release of the past with today's router and strategy, and with the instances and ports of today's components.

    What today's release does not have keeps its own; so do all when two would get one port.
    """
    today = {part.name: part for part in parts(now)}
    if not (old.components or now.components):
        mine = [replace(parts(old)[0], instances=now.instances, port=now.port)]
    else:
        mine = [_like(part, today.get(part.name)) for part in parts(old)]
        if len({part.port for part in mine}) < len(mine):
            mine = list(parts(old))
    first, *others = mine
    return replace(
        old,
        instances=first.instances,
        port=first.port,
        components=tuple(others),
        router=now.router,
        strategy=now.strategy,
    )


def _like(part: Component, today: Component | None) -> Component:
    return replace(part, instances=today.instances, port=today.port) if today else part
