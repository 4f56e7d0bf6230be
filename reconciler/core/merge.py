"""What several components report, made one report of their release; and one split taken apart for each of them.

An endpoint of a release unit is a text such as ``web=127.0.0.1:1,127.0.0.1:2 worker=127.0.0.1:3``: that of one instance of
the first component, with its share of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.core.components import carriers, parts, share
from reconciler.core.desired import Component, Release
from reconciler.core.observed import Counters, Instance, InstanceStatus, Reading

Endpoints = dict[str, tuple[str, ...]]
"""``host:port`` by the component that listens there."""

_WORST = (
    InstanceStatus.FAILED,
    InstanceStatus.STOPPING,
    InstanceStatus.BACKING_OFF,
    InstanceStatus.UNHEALTHY,
    InstanceStatus.PREPARING,
    InstanceStatus.STARTING,
    InstanceStatus.READY,
)
_MISSING = (InstanceStatus.PREPARING, "not there yet")


# --- endpoints -------------------------------------------------------------------------------------------------------


def endpoint_text(endpoints: Mapping[str, Iterable[str]]) -> str:
    """Endpoints by component as one text; those without a name stand for themselves."""
    return " ".join(
        f"{name}={listed}" if name else listed for name, some in endpoints.items() if (listed := ",".join(some))
    )


def taken_apart(texts: Iterable[str]) -> Endpoints:
    """Endpoints by component from such texts, each once, in order."""
    found: dict[str, dict[str, None]] = {}
    for word in (word for text in texts for word in text.split()):
        name, equals, listed = word.partition("=")
        some = found.setdefault(name if equals else "", {})
        some.update(dict.fromkeys((listed if equals else name).split(",")))
    return {name: tuple(some) for name, some in found.items()}


def routed_texts(instances: Iterable[Instance], routed: Endpoints) -> tuple[str, ...]:
    """The texts of those instances of one release whose endpoints the router has; one text of all it has when none fit.

    ``routed`` has an entry for each component that is served. The ready instances are tried first, then those that only
    listen: so ``core.plan`` chooses.
    """
    mine = [one for one in instances if one.endpoint]
    for status in (InstanceStatus.READY, InstanceStatus.UNHEALTHY):
        texts = [one.endpoint for one in mine if one.status is status and _within(one.endpoint, routed)]
        covered = taken_apart(texts)
        # A component without a living instance keeps the endpoints that it had: they are no reason to try again.
        if texts and all(set(covered[name]) == set(routed[name]) for name in covered if name in routed):
            return tuple(texts)
    everything = endpoint_text(routed)
    return (everything,) if everything else ()


def _within(text: str, routed: Endpoints) -> bool:
    served = {name: some for name, some in taken_apart([text]).items() if name in routed}
    return bool(served) and all(set(some) <= set(routed[name]) for name, some in served.items())


# --- instances -------------------------------------------------------------------------------------------------------


def merged(release: Release, found: Mapping[str, Iterable[Instance]], *, serves: bool) -> list[Instance]:
    """The instances of a release unit, made of those of its components (by name).

    The worst share decides on the status. While a release that ``serves`` has not one instance that is whole, what listens
    of them takes requests all the same: those are reported as unhealthy, and once more as what is wrong with them.
    """
    by_ordinal = {name: {one.ordinal: one for one in some} for name, some in found.items()}
    whole = release.desired.instances
    mine = parts(release.desired)
    ordinals = {_merged_ordinal(part, whole, o) for part in mine for o in by_ordinal.get(part.name, ())}
    units = [_unit(release, mine, by_ordinal, ordinal) for ordinal in sorted(ordinals)]
    if not serves or any(one.status is InstanceStatus.READY for one in units):
        return [_without_endpoint(one) for one in units]
    return [half for one in units for half in _halves(one)]


def _merged_ordinal(part: Component, whole: int, ordinal: int) -> int:
    """Whose share an instance of a component is."""
    if ordinal >= part.instances:
        return whole + ordinal - part.instances
    return next(i for i in range(whole) if ordinal in share(part, whole, i))


def _unit(
    release: Release, mine: tuple[Component, ...], found: Mapping[str, Mapping[int, Instance]], ordinal: int
) -> Instance:
    """One of them, with every endpoint of its share that can take requests."""
    whole = release.desired.instances
    beyond = ordinal >= whole
    seen: list[tuple[InstanceStatus, str]] = []
    ids: list[str] = []
    endpoints: Endpoints = {}
    restarts = 0
    for part in mine:
        there = found.get(part.name, {})
        numbers = carriers(part, whole, ordinal)
        some = [there[number] for number in numbers if number in there]
        seen += [(one.status, f"{part.name}: {one.message}" if one.message else "") for one in some]
        if len(some) < len(numbers) and not beyond:
            seen.append((_MISSING[0], f"{part.name}: {_MISSING[1]}"))
        ids += [f"{part.name}/{one.id}" for one in some]
        endpoints[part.name] = _listening(some)
        restarts += sum(there[number].restarts for number in share(part, whole, ordinal) if number in there)
    status, message = min(seen, key=lambda one: (_WORST.index(one[0]), not one[1]))
    return Instance(" ".join(ids), release.digest, ordinal, status, endpoint_text(endpoints), restarts, message)


def _listening(some: list[Instance]) -> tuple[str, ...]:
    ready = [one.endpoint for one in some if one.status is InstanceStatus.READY and one.endpoint]
    return tuple(ready or [one.endpoint for one in some if one.status is InstanceStatus.UNHEALTHY and one.endpoint])


def _without_endpoint(one: Instance) -> Instance:
    takes = one.status in (InstanceStatus.READY, InstanceStatus.UNHEALTHY)
    return one if takes else _as(one, one.status, "")


def _halves(one: Instance) -> list[Instance]:
    if one.status is InstanceStatus.UNHEALTHY or not one.endpoint:
        return [one]
    wrong = Instance(f"{one.id} (not ready)", one.digest, one.ordinal, one.status, message=one.message)
    return [_as(one, InstanceStatus.UNHEALTHY, one.endpoint), wrong]


def _as(one: Instance, status: InstanceStatus, endpoint: str) -> Instance:
    return Instance(one.id, one.digest, one.ordinal, status, endpoint, one.restarts, one.message)


# --- counters --------------------------------------------------------------------------------------------------------


def summed(readings: list[Reading]) -> Reading:
    """The readings of all listeners as one. One that could not be taken leaves the whole unknown."""
    error = next((one.error for one in readings if one.error), "")
    at = readings[0].at
    if error:
        return Reading(at, error=error)
    return Reading(at, _sum([one.stable for one in readings]), _sum([one.canary for one in readings]))


def _sum(sides: list[Counters | None]) -> Counters | None:
    known = [one for one in sides if one is not None]
    if not known:
        return None
    timed = [one for one in known if one.timed]
    edges = {tuple(edge for edge, _ in one.buckets) for one in timed}
    # Times that were counted by different edges cannot be added up: then there are none.
    agree = len(edges) == 1
    counts = zip(*([count for _, count in one.buckets] for one in timed), strict=True) if agree else ()
    return Counters(
        epoch=" ".join(sorted({one.epoch for one in known})),
        sent=sum(one.sent for one in known),
        answered=sum(one.answered for one in known),
        failed=sum(one.failed for one in known),
        timed=sum(one.timed for one in timed) if agree else 0,
        buckets=tuple(zip(next(iter(edges)), map(sum, counts), strict=True)) if agree else (),
    )
