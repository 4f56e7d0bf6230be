"""What ``prodsprint plan`` shows of one key: the decision that the daemon would take, and the steps that would follow."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from reconciler.cli import output
from reconciler.core.decide import decide
from reconciler.core.desired import DesiredState, Step
from reconciler.core.digest import plain, release_digest, short
from reconciler.core.inputs import Decision, Inputs
from reconciler.core.observed import Observed
from reconciler.core.plan import capacity, steps_of
from reconciler.core.state import KeyState, Plan, Scale, SetRoute
from reconciler.core.units import format_duration, format_percent, percent_words
from reconciler.core.waiting import Waiting
from reconciler.ports import Clock

STATE = TypeAdapter(KeyState)
OBSERVED = TypeAdapter(Observed)


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


def preview(desired: DesiredState, known: tuple[str, str] | None, clock: Clock) -> Preview:
    """Decide on one key as the daemon would; ``known`` is its (state, observation) as JSON, if there is a daemon."""
    state = STATE.validate_json(known[0]) if known else KeyState(desired.key)
    observed = OBSERVED.validate_json(known[1]) if known and known[1] else Observed()
    decision = decide(Inputs(clock.now(), state, desired, "", observed))
    new = decision.state.plan if decision.state.generation != state.generation else None
    return Preview(desired, state, decision, new)


def text(one: Preview, width: int | None = None) -> str:
    """The preview for people, folded at ``width`` columns."""
    return "\n".join(output.wrap(line, width, 4) for line in _lines(one))


def _lines(one: Preview) -> list[str]:
    artifact = one.desired.artifact
    head = f"{one.desired.key}: {_serves(one.before)} → {artifact.version} ({short(artifact.revision)})"
    if one.plan is None:
        why = "; ".join(f"{wait.condition}: {wait.message}" for wait in one.waiting)
        same = one.before.stable is not None and one.before.stable.digest == release_digest(one.desired)
        return [head, "  nothing to do" + (": it serves already" if same and not why else f": {why}" if why else "")]
    lines = [head, f"  plan {short(one.plan.digest)}, generation {one.plan.parent} → {one.plan.generation}"]
    for number, action in enumerate(one.plan.actions, start=1):
        lines.append(f"  {number}. {_action(action, _names(one))}")
    return [*lines, *(_steps(one) or (f"  held by {wait.condition}: {wait.message}" for wait in one.waiting))]


def _serves(state: KeyState) -> str:
    return state.stable.desired.artifact.version if state.stable else "nothing"


def _names(one: Preview) -> dict[str, str]:
    """Versions by the digests of their releases."""
    state = one.decision.state
    known = [*one.before.certified, *state.certified, one.before.stable, state.stable]
    known += [rollout.release for rollout in (one.before.rollout, state.rollout) if rollout]
    return {release.digest: release.desired.artifact.version for release in known if release}


def _action(action: Scale | SetRoute, names: dict[str, str]) -> str:
    def named(digest: str) -> str:
        version = names.get(digest)
        return f"{version} ({short(digest)})" if version else short(digest)

    if isinstance(action, Scale):
        instances = output.count(action.count, "instance")
        return f"run {instances} of {named(action.digest)}" if action.count else f"stop {named(action.digest)}"
    route = action.route
    if route.canary is None:
        return f"port {route.port}: {f'all traffic to {named(route.stable)}' if route.stable else 'no traffic'}"
    share = percent_words(route.weight)
    return f"port {route.port}: {share} of the traffic to {named(route.canary)}, once its instances are ready"


def _steps(one: Preview) -> list[str]:
    lines = ["  then, while the analysis finds it healthy:"] if one.steps else []
    for step in one.steps:
        count = capacity(one.desired.instances, step.weight)
        requests = f" and {output.count(step.requests, 'request')}" if step.requests else ""
        bake = format_duration(step.bake)
        instances = output.count(count, "instance")
        lines.append(f"    {percent_words(step.weight):>7} on {instances}, for at least {bake}{requests}")
    return lines


def as_data(one: Preview) -> dict[str, object]:
    """The preview for programs."""
    return {
        "key": str(one.desired.key),
        "serves": _serves(one.before),
        "wanted": one.desired.artifact.version,
        "revision": one.desired.artifact.revision,
        "release_digest": release_digest(one.desired),
        "plan": plain(one.plan),
        "steps": [
            {
                "weight": format_percent(step.weight),
                "instances": capacity(one.desired.instances, step.weight),
                "bake": format_duration(step.bake),
                "requests": step.requests,
            }
            for step in one.steps
        ],
        # Not when the daemon looks next: the same inputs give the same bytes, whenever they are planned.
        "waiting": [{"condition": wait.condition, "message": wait.message, "who": wait.who} for wait in one.waiting],
    }
