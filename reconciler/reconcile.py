"""The five hops of one key: load, observe, decide, commit, act. Nothing else decides, and nothing else acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from reconciler import components
from reconciler.core import condition
from reconciler.core.analysis import Progress, control_history
from reconciler.core.decide import decide
from reconciler.core.desired import DesiredState, Instant, Key, Tombstone
from reconciler.core.digest import canonical, plain, release_digest
from reconciler.core.gate import Dependency, Predecessor
from reconciler.core.inputs import RESYNC, Decision, Inputs
from reconciler.core.listeners import unit_of
from reconciler.core.observed import ControlHistory, Observed, Reading, Tick
from reconciler.core.order import dependency, predecessor
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.plan import observed_weight, traffic_for
from reconciler.core.rollout import tick_due
from reconciler.core.state import ConditionStatus, ConditionType, KeyState, Phase, Scale, retired
from reconciler.ports import Clock, MetricsSource, Router, Store, Target, Transition

HISTORY_TICKS = 360
"""Readings of the control outside of rollouts that the overdispersion is estimated from: an hour at the resync interval."""


class Desires(Protocol):
    """What git asks for."""

    def desired(self, key: Key) -> tuple[DesiredState | None, str]:
        """The newest valid desired state of a key, and what is wrong with a newer one (empty when nothing is).

        Without a desired state, an empty problem means that it is certain that no manifest asks for the key.
        """
        ...

    def tombstone(self, key: Key) -> Tombstone | None:
        """What is left of a manifest that was removed; None while there is one, and when nothing is known of one."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The world, as one key sees it. Adapters are opened by name when they are first needed."""

    clock: Clock
    store: Store
    desires: Desires
    target: Callable[[str], Target]
    router: Callable[[str], Router]
    metrics: Callable[[str], MetricsSource]
    measured: Callable[[Key, Reading], None] = lambda _key, _reading: None
    """Told of every reading, for those who show golden signals."""
    cache: dict[Key, tuple[int, int, tuple[Tick, ...]]] = field(default_factory=dict)
    """Ticks of the attempt in progress by key: (attempt, revision, ticks), so that a look reads none of them again."""
    progress: dict[Key, Progress] = field(default_factory=dict)
    """What has been made of them, by key, so that a look folds none of them again."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one pass over a key came to, for those who show or count it."""

    inputs: Inputs
    decision: Decision
    trouble: TransientError | TerminalError | None = None
    """Why not all that was due could be done; None when it could."""

    @property
    def settled(self) -> bool:
        """Whether keys that wait for this one may go on now: it was certified, came to rest, or went out of service."""
        before, after = self.inputs.state, self.decision.state
        if before is after:
            return False
        ended = before.rollout is not None and after.rollout is None
        return ended or before.certified != after.certified or _ready(before) != _ready(after) or self.retired

    @property
    def retired(self) -> bool:
        """Whether this look saw the last of a key that is taken out of service."""
        return retired(self.decision.state) and not retired(self.inputs.state)


def _ready(state: KeyState) -> bool:
    found = condition.find(state.conditions, ConditionType.READY)
    return found is not None and found.status is ConditionStatus.TRUE


def reconcile(key: Key, ports: Ports, resync: float = RESYNC) -> Look:
    """Look at one key once. What keeps a saved decision from being acted on is in the look, since the decision stands.

    ``resync`` is the time between two looks at a key that nothing happens to, in seconds.

    Raises the three error families otherwise; StaleGenerationError means that somebody else was faster.
    """
    state = ports.store.load(key)
    inputs = observe(key, state, ports, resync)
    decision = decide(inputs)
    commit(inputs, decision, ports)
    try:
        act(inputs.observed, decision, ports)
    except (TransientError, TerminalError) as trouble:
        return Look(inputs, decision, trouble)
    return Look(inputs, decision)


# --- observe ---------------------------------------------------------------------------------------------------------


def observe(key: Key, state: KeyState, ports: Ports, resync: float = RESYNC) -> Inputs:
    """Read everything a decision may use; changes nothing but the tick log's cache."""
    desired, problem = ports.desires.desired(key)
    now = ports.clock.now()
    settings, begins = _settings(state) or desired, _may_begin(state, desired)
    observed = _observed(state, settings, ports) if settings else Observed()
    return Inputs(
        now=now,
        state=state,
        desired=desired,
        problem=problem,
        observed=observed,
        ticks=_ticks(key, state, observed, now, ports),
        progress=ports.progress.setdefault(key, Progress()) if state.rollout else None,
        control=_control(key, state, ports) if begins else ControlHistory(),
        requests=ports.store.requests(key),
        predecessors=_predecessors(key, desired, ports) if desired and begins else (),
        dependencies=tuple(_dependency(need, ports) for need in desired.needs) if desired and begins else (),
        tombstone=ports.desires.tombstone(key) if desired is None else None,
        resync=resync,
    )


def _settings(state: KeyState) -> DesiredState | None:
    """What runs now decides which adapters to ask: a commit may change the kind, but not what is there."""
    if state.rollout is not None:
        return state.rollout.release.desired
    return state.stable.desired if state.stable else None


def _observed(state: KeyState, settings: DesiredState, ports: Ports) -> Observed:
    known = state.plan.releases if state.plan else ()
    kinds = dict.fromkeys((settings.target, *(release.desired.target for release in known)))
    return components.observe(unit_of(state), ports.target, kinds, partial(ports.router, settings.router))


def _ticks(key: Key, state: KeyState, observed: Observed, now: Instant, ports: Ports) -> tuple[Tick, ...]:
    rollout = state.rollout
    if rollout is None:
        _watch_control(key, state, now, ports)
        return ()
    attempt, revision, ticks = ports.cache.get(key, (0, 0, ()))
    if (attempt, revision) != (rollout.attempt, state.revision):
        # Somebody has decided since, perhaps another replica on ticks of its own: the log says what counts.
        ticks = ports.store.ticks(key, rollout.attempt)
    if tick_due(rollout, ticks, now):
        reading = _read(state, rollout.release.desired, now, ports)
        baking = rollout.phase is Phase.STEPPING and rollout.confirmed is not None
        step, weight = rollout.step if baking else -1, observed_weight(observed.traffic)
        tick = Tick(rollout.attempt, ticks[-1].seq + 1 if ticks else 1, step, weight, reading)
        ports.store.append(key, (tick,))
        ticks = (*ticks, tick)
    ports.cache[key] = (rollout.attempt, state.revision, ticks)
    return ticks


def _read(state: KeyState, settings: DesiredState, now: Instant, ports: Ports) -> Reading:
    """A reading, whatever happens: a source that cannot even be opened must not stop the way back."""
    try:
        reading = components.read(unit_of(state), ports.metrics(settings.analysis.source))
    except (TransientError, TerminalError) as error:
        return Reading(now, error=str(error))
    ports.measured(state.key, reading)
    return reading


def _watch_control(key: Key, state: KeyState, now: Instant, ports: Ports) -> None:
    """Between rollouts the control's counters are read now and then: that is how its failures are known to clump or not."""
    ports.cache.pop(key, None)
    ports.progress.pop(key, None)
    if state.stable is None:
        return
    last = ports.store.ticks(key, 0, limit=1)
    if last and now.since(last[-1].reading.at) < 0.9 * RESYNC:
        return
    reading = _read(state, state.stable.desired, now, ports)
    if not reading.error:
        ports.store.append(key, (Tick(0, int(now.wall * 1000), -1, 0, reading),))


def _may_begin(state: KeyState, desired: DesiredState | None) -> bool:
    """Whether a release may begin: only then does it matter what others have certified. A key at rest asks nobody."""
    if desired is None or state.rollout is not None:
        return False
    digest = release_digest(desired)
    serves = state.stable is not None and state.stable.digest == digest
    certified = serves and any(one.digest == digest for one in state.certified)
    return not certified and all(row.digest != digest for row in state.quarantined)


def _control(key: Key, state: KeyState, ports: Ports) -> ControlHistory:
    if state.stable is None:
        return ControlHistory()
    return control_history(ports.store.ticks(key, 0, limit=HISTORY_TICKS))


def _predecessors(key: Key, desired: DesiredState, ports: Ports) -> tuple[Predecessor, ...]:
    return tuple(predecessor(ports.store.load(replace(key, environment=name))) for name in desired.after)


def _dependency(key: Key, ports: Ports) -> Dependency:
    desired, problem = ports.desires.desired(key)
    return dependency(key, desired, problem, ports.store.load(key))


# --- commit ----------------------------------------------------------------------------------------------------------


def commit(inputs: Inputs, decision: Decision, ports: Ports) -> None:
    """Save the decision whole before anyone acts on it. A look that changes nothing saves nothing but its ticks."""
    if not decision.changed:
        return
    ports.store.commit(
        Transition(
            state=decision.state,
            records=decision.records,
            answers=decision.answers,
            at=inputs.now.wall,
            inputs=recorded(inputs),
        )
    )


def recorded(inputs: Inputs) -> str:
    """The inputs as they are kept for replay: ticks by reference, since they are in the log of their attempt."""
    form = plain(replace(inputs, ticks=(), progress=None))
    del form["progress"]  # type: ignore[attr-defined]  # a dataclass becomes a dict
    form["ticks"] = len(inputs.ticks)  # type: ignore[index]
    return canonical(form)


# --- act -------------------------------------------------------------------------------------------------------------


def act(observed: Observed, decision: Decision, ports: Ports) -> None:
    """Do what is due, in order. What comes of it shows in the next observation."""
    plan = decision.state.plan
    if plan is None or not decision.due.actions:
        return
    releases = {release.digest: release for release in plan.releases}
    settings = _settings(decision.state) or plan.releases[0].desired
    unit = unit_of(decision.state)
    for action in decision.due.actions:
        if isinstance(action, Scale):
            release = releases[action.digest]
            target, router = ports.target(release.desired.target), partial(ports.router, settings.router)
            components.scale(unit, target, router, release, action.count, plan.generation)
        else:
            traffic = traffic_for(action.route, observed, plan.actions)
            components.apply_traffic(unit, ports.router(settings.router), traffic, plan.generation)


def kept(state: KeyState) -> frozenset[str]:
    """Digests whose files have to stay: what serves, what is being tried, and everything that may be gone back to."""
    if retired(state):
        return frozenset()
    rollout = state.rollout
    names = {one.digest for one in state.certified} | {one.digest for one in (state.stable,) if one}
    return frozenset(names | ({rollout.release.digest} if rollout else set()))
