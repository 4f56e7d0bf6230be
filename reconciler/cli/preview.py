"""What ``prodsprint plan`` shows of one key: the decision that the daemon would take, and the steps that would follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from reconciler.cli import output
from reconciler.core.components import count_of, lanes, parts, version_of
from reconciler.core.decide import decide
from reconciler.core.desired import Component, DesiredState, Key, Step
from reconciler.core.digest import plain, release_digest, revision_of, short, short_revision_of
from reconciler.core.inputs import Decision, Inputs
from reconciler.core.observed import Observed
from reconciler.core.order import dependency, predecessor
from reconciler.core.plan import capacity, steps_of
from reconciler.core.state import KeyState, Plan, Route, Scale, SetRoute
from reconciler.core.units import format_duration, format_percent, percent_words
from reconciler.core.waiting import Waiting
from reconciler.ports import Clock

STATE = TypeAdapter(KeyState)
OBSERVED = TypeAdapter(Observed)


@dataclass(frozen=True, slots=True)
class Around:
    """(state, observation) as JSON by key, as far as a daemon knows the key; and what git asks of each."""

    states: Mapping[str, tuple[str, str]]
    desired: Callable[[Key], DesiredState | None]

    def state(self, key: Key) -> KeyState:
        """What is remembered of a key; nothing, when it is not known."""
        known = self.states.get(str(key))
        return STATE.validate_json(known[0]) if known else KeyState(key)


@dataclass(frozen=True, slots=True)
class Preview:
    """One key's desired state and the decision on it; ``plan`` is None when nothing would change."""

    desired: DesiredState
    before: KeyState
    decision: Decision
    plan: Plan | None

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """What keeps the key from going on."""
        return self.decision.waiting

    @property
    def denied(self) -> bool:
        """Whether a gate denies the release."""
        return any(one.condition == "Quarantine" for one in self.waiting)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the rollout that the plan begins or goes on with; none when nothing is rolled out."""
        rollout = self.decision.state.rollout
        return steps_of(rollout, self.before.stable) if rollout else ()


def preview(desired: DesiredState, around: Around, clock: Clock) -> Preview:
    """Decide on one key as the daemon would, from what is known of it and of those that it waits for."""
    known = around.states.get(str(desired.key))
    state = around.state(desired.key)
    observed = OBSERVED.validate_json(known[1]) if known and known[1] else Observed()
    before = tuple(predecessor(around.state(replace(desired.key, environment=name))) for name in desired.after)
    needed = tuple(dependency(key, around.desired(key), "", around.state(key)) for key in desired.needs)
    inputs = Inputs(clock.now(), state, desired, "", observed, predecessors=before, dependencies=needed)
    decision = decide(inputs)
    new = decision.state.plan if decision.state.generation != state.generation else None
    return Preview(desired, state, decision, new)


def text(one: Preview, width: int | None = None) -> str:
    """The preview for people, folded at ``width`` columns."""
    return "\n".join(output.wrap(line, width, 4) for line in _lines(one))


def _lines(one: Preview) -> list[str]:
    wanted = f"{version_of(one.desired)} ({short_revision_of(one.desired)})"
    head = f"{one.desired.key}: {_serves(one.before)} → {wanted}"
    if one.plan is None:
        why = "; ".join(f"{wait.condition}: {wait.message}" for wait in one.waiting)
        same = one.before.stable is not None and one.before.stable.digest == release_digest(one.desired)
        return [head, "  nothing to do" + (": it serves already" if same and not why else f": {why}" if why else "")]
    lines = [head, f"  plan {short(one.plan.digest)}, generation {one.plan.parent} → {one.plan.generation}"]
    for number, action in enumerate(one.plan.actions, start=1):
        lines.append(f"  {number}. {_action(action, _known(one))}")
    return [*lines, *(_steps(one) or (f"  held by {wait.condition}: {wait.message}" for wait in one.waiting))]


def _serves(state: KeyState) -> str:
    return version_of(state.stable.desired) if state.stable else "nothing"


def _known(one: Preview) -> dict[str, DesiredState]:
    """What is known of releases, by their digests."""
    state = one.decision.state
    known = [*one.before.certified, *state.certified, one.before.stable, state.stable]
    known += [rollout.release for rollout in (one.before.rollout, state.rollout) if rollout]
    return {release.digest: release.desired for release in known if release}


def _action(action: Scale | SetRoute, known: dict[str, DesiredState]) -> str:
    def named(digest: str) -> str:
        found = known.get(digest)
        return f"{version_of(found)} ({short(digest)})" if found else short(digest)

    if isinstance(action, Scale):
        instances = _instances(known.get(action.digest), action.count)
        return f"run {instances} of {named(action.digest)}" if action.count else f"stop {named(action.digest)}"
    route = action.route
    where = _ports(route, known)
    if route.canary is None:
        return f"{where}: {f'all traffic to {named(route.stable)}' if route.stable else 'no traffic'}"
    share = percent_words(route.weight)
    return f"{where}: {share} of the traffic to {named(route.canary)}, once its instances are ready"


def _instances(of: DesiredState | None, count: int) -> str:
    """How many: ``2 instances``, or ``2 web and 3 worker instances``."""
    if of is None or not of.components:
        return output.count(count, "instance")
    each = [f"{count_of(part, of.instances, count)} {part.name}" for part in parts(of)]
    return f"{', '.join(each[:-1])} and {each[-1]} instances"


def _ports(route: Route, known: dict[str, DesiredState]) -> str:
    """Where clients call: ``port 8080``, or ``ports 8080 (web), 8081 (worker)``; a new one once it can be had."""
    served = lanes(known.get(route.stable or ""), known.get(route.canary or ""), route.weight)
    if len(served) < 2:
        return f"port {route.port}"
    return f"ports {', '.join(f'{lane.port} ({lane.name})' if lane.name else f'{lane.port}' for lane in served)}"


def _steps(one: Preview) -> list[str]:
    head = ["  then, while the analysis finds it healthy:"] if one.steps else []
    return head + [_step(one.desired, step) for step in one.steps]


def step_lines(desired: DesiredState) -> list[str]:
    """The steps of a new release, where nothing is known of the one before."""
    return [_step(desired, step) for step in desired.strategy.steps]


def _step(desired: DesiredState, step: Step) -> str:
    requests = f" and {output.count(step.requests, 'request')}" if step.requests else ""
    bake = format_duration(step.bake)
    instances = _instances(desired, capacity(desired.instances, step.weight))
    return f"    {percent_words(step.weight):>7} on {instances}, for at least {bake}{requests}"


def _component(part: Component) -> dict[str, object]:
    artifact = part.artifact
    versions = {"name": part.name, "version": artifact.version, "revision": artifact.revision}
    return {**versions, "instances": part.instances, "port": part.port}


def as_data(one: Preview) -> dict[str, object]:
    """The preview for programs."""
    return {
        "key": str(one.desired.key),
        "serves": _serves(one.before),
        "wanted": version_of(one.desired),
        "revision": revision_of(one.desired),
        **({"components": [_component(part) for part in parts(one.desired)]} if one.desired.components else {}),
        "release_digest": release_digest(one.desired),
        "plan": plain(one.plan),
        "steps": [_step_data(one.desired, step) for step in one.steps],
        # Not when the daemon looks next: the same inputs give the same bytes, whenever they are planned.
        "waiting": [{"condition": wait.condition, "message": wait.message, "who": wait.who} for wait in one.waiting],
    }


def step_data(desired: DesiredState) -> list[dict[str, object]]:
    """``step_lines`` for programs."""
    return [_step_data(desired, step) for step in desired.strategy.steps]


def _step_data(desired: DesiredState, step: Step) -> dict[str, object]:
    return {
        "weight": format_percent(step.weight),
        "instances": capacity(desired.instances, step.weight),
        "bake": format_duration(step.bake),
        "requests": step.requests,
    }
