"""Plans: which actions the state of a key asks for, and which of them may be done now.

A plan lists all its actions in order and says what each of them waits for, so that whoever acts has nothing left to choose:
more capacity before traffic, traffic before less capacity. ``due`` compares a plan with an observation; an action that the
observation does not show as done is simply due again, which is how an interrupted plan is resumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.core.desired import FULL_WEIGHT, Instant, Release, Step, StrategyKind
from reconciler.core.digest import canonical, sha256, short
from reconciler.core.observed import Backend, Instance, InstanceStatus, Observed, Traffic
from reconciler.core.state import Action, KeyState, Phase, Plan, Rollout, RolloutKind, Route, Scale, SetRoute

PLAN_FORM = "prodsprint.plan/1"


def steps_of(rollout: Rollout, stable: Release | None) -> tuple[Step, ...]:
    """The steps of an attempt. Without a stable release, or on the way back to a certified one, there is only the last."""
    strategy = rollout.release.desired.strategy
    last = strategy.steps[-1]
    if rollout.kind is RolloutKind.ROLLBACK:
        return (Step(FULL_WEIGHT, 0.0),)
    if stable is None or strategy.kind is StrategyKind.ALL_AT_ONCE:
        return (Step(FULL_WEIGHT, last.bake),)
    return strategy.steps


def capacity(instances: int, weight: int) -> int:
    """Instances that carry ``weight`` hundredths of a percent of a service sized ``instances``: rounded up, at least 1."""
    return max(1, -(-instances * weight // FULL_WEIGHT))


def wanted_actions(state: KeyState) -> tuple[Action, ...]:
    """The ordered actions that lead to what the state says should be. Empty for a key that nothing was released to."""
    rollout, stable = state.rollout, state.stable
    if rollout is None:
        if stable is None:
            return ()
        return _serve(stable) if state.retirement is None else _way_back(None, stable)
    candidate = rollout.release
    match rollout.phase:
        case Phase.STEPPING:
            return _step(state, rollout)
        case Phase.PROMOTING:
            gone = () if stable is None or stable.digest == candidate.digest else (Scale(stable.digest, 0),)
            return (*_serve(candidate), *gone)
        case Phase.ROLLING_BACK:
            return _way_back(stable, candidate)


def alone(release: Release) -> Route:
    """The split with all traffic on a release that serves."""
    return Route(release.desired.port, release.digest, None, 0)


def _serve(release: Release) -> tuple[Action, ...]:
    scale = Scale(release.digest, release.desired.instances)
    return (scale, SetRoute(alone(release), ((release.digest, 1),)))


def _step(state: KeyState, rollout: Rollout) -> tuple[Action, ...]:
    stable, candidate = state.stable, rollout.release
    weight = steps_of(rollout, stable)[rollout.step].weight
    need = capacity(candidate.desired.instances, weight)
    # Requests of stable must not meet another port before the candidate is certified.
    port = (stable or candidate).desired.port
    route = Route(port, stable.digest if stable else None, candidate.digest, weight)
    actions: list[Action] = [Scale(candidate.digest, need), SetRoute(route, ((candidate.digest, need),))]
    if stable is not None:
        actions.insert(0, Scale(stable.digest, stable.desired.instances))
    return tuple(actions)


def _way_back(stable: Release | None, candidate: Release) -> tuple[Action, ...]:
    if stable is None:
        return (SetRoute(Route(candidate.desired.port, None, None, 0)), Scale(candidate.digest, 0))
    scale, route = _serve(stable)
    # Traffic first: the way back waits for no capacity but one instance that answers.
    return (route, scale, Scale(candidate.digest, 0))


def next_plan(state: KeyState, reason: str) -> Plan | None:
    """The plan that follows from the state, or None when the current one already asks for the same."""
    actions = wanted_actions(state)
    parent = state.plan
    named = {action.digest for action in actions if isinstance(action, Scale)}
    known = [state.stable, state.rollout.release if state.rollout else None, *(parent.releases if parent else ())]
    releases = {release.digest: release for release in reversed(known) if release and release.digest in named}
    beside = _beside(releases.values())
    if actions == (parent.actions if parent else ()) and beside == _beside(parent.releases if parent else ()):
        return None
    form = {"form": PLAN_FORM, "key": str(state.key), "parent": state.generation, "actions": actions}
    form |= {"components": beside} if beside else {}
    return Plan(
        key=state.key,
        generation=state.generation + 1,
        parent=state.generation,
        actions=actions,
        releases=tuple(releases[name] for name in sorted(releases)),
        reason=reason,
        digest=sha256(canonical(form)),
    )


def _beside(releases: Iterable[Release]) -> list[tuple[str, str, int, int]]:
    """How many there are of each component but the first, and at which port: actions only say it of the first."""
    return sorted(
        (release.digest, part.name, part.instances, part.port)
        for release in releases
        for part in release.desired.components
    )


# --- what may be done now --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Due:
    """The actions that may be done now, in order, and why the first of the others may not."""

    actions: tuple[Action, ...]
    blocked: str = ""
    finished: bool = False
    """Every action is shown as done by the observation."""


def ready(observed: Observed, digest: str) -> int:
    """How many instances of a release are ready."""
    return sum(1 for one in observed.instances if one.digest == digest and one.status is InstanceStatus.READY)


def endpoints(observed: Observed, digest: str, count: int | None = None) -> tuple[str, ...]:
    """Where requests for a release can go: its ready instances, or, when none is, whatever of it still listens.

    Of more than ``count`` instances, those that are about to be stopped are left out as long as another one is ready.
    """
    mine = [one for one in observed.instances if one.digest == digest and one.endpoint]
    best = [one for one in mine if one.status is InstanceStatus.READY]
    staying = [one for one in best if count is None or one.ordinal < count]
    listening = [one for one in mine if one.status is InstanceStatus.UNHEALTHY]
    return tuple(one.endpoint for one in sorted(staying or best or listening, key=lambda one: one.ordinal))


def traffic_for(route: Route, observed: Observed, actions: tuple[Action, ...] = ()) -> Traffic:
    """The split of a route with the endpoints of the moment, without those that ``actions`` are about to stop.

    A release without any (all its instances are down, or could not be observed) keeps those that the router has for it.
    """
    counts = {action.digest: action.count for action in actions if isinstance(action, Scale) and action.count}

    def side(digest: str | None) -> Backend | None:
        if digest is None:
            return None
        return Backend(digest, endpoints(observed, digest, counts.get(digest)) or _routed(observed.traffic, digest))

    return Traffic(route.port, side(route.stable), side(route.canary), route.weight)


def observed_weight(traffic: Traffic | None) -> int:
    """The canary's share of the traffic, in hundredths of a percent: all of it when there is nothing beside it."""
    if traffic is None or traffic.canary is None:
        return 0
    return traffic.weight if traffic.stable is not None else FULL_WEIGHT


def in_force(route: Route, observed: Observed) -> bool:
    """Whether the router has confirmed the digests and the weight of a route, whatever the endpoints."""
    traffic = observed.traffic
    if traffic is None:
        return route.stable is None and route.canary is None
    found = Route(
        traffic.port,
        traffic.stable.digest if traffic.stable else None,
        traffic.canary.digest if traffic.canary else None,
        traffic.weight,
    )
    return found == route


def due(
    plan: Plan, observed: Observed, now: Instant, drained_at: Instant | None, drain: float, *, fresh: bool = False
) -> Due:
    """Which actions of a plan may be done now.

    ``drained_at`` is when the traffic of this plan was confirmed; instances that lost their traffic then are stopped
    ``drain`` seconds later. An incomplete observation makes nothing due (but see ``due_blindly``). The routes of a ``fresh``
    plan are due even if they are in force: an older one may still be on its way to the router, and would come into force
    after them.
    """
    if observed.error:
        return Due((), observed.error)
    actions: list[Action] = []
    blocked = ""
    for action in plan.actions:
        if _done(action, observed, plan) and not (fresh and isinstance(action, SetRoute)):
            continue
        wait = _waits_for(action, observed, now, drained_at, drain)
        blocked = blocked or wait
        if not wait:
            actions.append(action)
    return Due(tuple(actions), blocked, finished=not actions and not blocked)


def due_blindly(plan: Plan, observed: Observed, *, fresh: bool = False) -> Due:
    """What may be done of the way back when not all can be observed: to move all traffic to a release that has endpoints.

    They are those of its instances, or, when these can't be observed, those that the router itself has for it.
    """
    routes = tuple(
        action
        for action in plan.actions
        if isinstance(action, SetRoute)
        and (fresh or not (observed.sees_traffic and _done(action, observed, plan)))
        and _reachable(action, observed, plan)
    )
    return Due(routes, observed.error)


def _reachable(action: SetRoute, observed: Observed, plan: Plan) -> bool:
    if observed.sees_instances and any(ready(observed, digest) < need for digest, need in action.needs):
        return False
    stable = traffic_for(action.route, observed, plan.actions).stable
    return stable is not None and bool(stable.endpoints)


def _done(action: Action, observed: Observed, plan: Plan) -> bool:
    if isinstance(action, SetRoute):
        if action.route.stable is None and action.route.canary is None:
            return observed.traffic is None
        return observed.traffic == traffic_for(action.route, observed, plan.actions)
    mine = [one for one in observed.instances if one.digest == action.digest]
    if sorted(one.ordinal for one in mine) != list(range(action.count)):
        return False
    return all(one.status in (InstanceStatus.READY, InstanceStatus.UNHEALTHY) for one in mine)


def _waits_for(action: Action, observed: Observed, now: Instant, drained_at: Instant | None, drain: float) -> str:
    if isinstance(action, SetRoute):
        for digest, need in action.needs:
            have = ready(observed, digest)
            if have < need:
                # Endpoints of a split that is already in force still follow the instances.
                listening = in_force(action.route, observed) and endpoints(observed, digest)
                if not listening and not _moves_nothing(action.route, observed):
                    return f"{have} of {need} instances of {short(digest)} ready"
        return ""
    if action.count == 0 and routed_to(action.digest, observed.traffic):
        return f"{short(action.digest)} still gets traffic"
    if action.count and _leaving(action, observed):
        return f"instances of {short(action.digest)} that are to be stopped still get traffic"
    if action.count == 0 and (drained_at is None or now.since(drained_at) < drain):
        return f"requests in flight to {short(action.digest)} get {drain:g} s to finish"
    return ""


def _leaving(action: Scale, observed: Observed) -> bool:
    """Whether requests still go to an instance that the action stops, although they could go to one that stays."""
    stay = endpoints(observed, action.digest, action.count)
    sides = (observed.traffic.stable, observed.traffic.canary) if observed.traffic else ()
    there = {endpoint for side in sides if side and side.digest == action.digest for endpoint in side.endpoints}
    gone = [x for x in observed.instances if x.digest == action.digest and x.ordinal >= action.count]
    return any(one.endpoint in there - set(stay) for one in gone)


def _moves_nothing(route: Route, observed: Observed) -> bool:
    """Whether the release that gets all traffic goes on getting it, from the other side of the split."""
    there, traffic = (route.stable, route.canary), observed.traffic
    here = (traffic.stable and traffic.stable.digest, traffic.canary and traffic.canary.digest) if traffic else ()
    return None in there and here == (there[1], there[0])


def _routed(traffic: Traffic | None, digest: str) -> tuple[str, ...]:
    sides = (traffic.stable, traffic.canary) if traffic else ()
    return next((side.endpoints for side in sides if side is not None and side.digest == digest), ())


def routed_to(digest: str, traffic: Traffic | None) -> bool:
    """Whether a release is on a side of the split."""
    sides = (traffic.stable, traffic.canary) if traffic else ()
    return any(side is not None and side.digest == digest for side in sides)


def failed(observed: Observed, digest: str) -> Instance | None:
    """The first instance of a release that will not get better by waiting."""
    return next((x for x in observed.instances if x.digest == digest and x.status is InstanceStatus.FAILED), None)


def restarts(observed: Observed, digest: str, ordinals: range) -> int:
    """How often instances of a release with those ordinals went down by themselves."""
    return sum(one.restarts for one in observed.instances if one.digest == digest and one.ordinal in ordinals)
