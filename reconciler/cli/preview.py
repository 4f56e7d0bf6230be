"""What ``prodsprint plan`` shows of one key: the decision that the daemon would take, and the steps that would follow."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from reconciler.cli import output
from reconciler.core.decide import decide
from reconciler.core.digest import plain, release_digest, short
from reconciler.core.inputs import Decision, Inputs
from reconciler.core.plan import capacity, steps_of
from reconciler.core.state import DesiredState, KeyState, Observed, Plan, Scale
from reconciler.core.units import format_duration
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
    def denied(self) -> bool:
        """Whether a gate denies the release."""
        return any(one.condition == "Quarantine" for one in self.decision.waiting)


def preview(desired: DesiredState, known: tuple[str, str] | None, clock: Clock) -> Preview:
    """Decide on one key as the daemon would; ``known`` is its (state, observation) as JSON, if there is a daemon."""
    state = STATE.validate_json(known[0]) if known else KeyState(desired.key)
    observed = OBSERVED.validate_json(known[1]) if known and known[1] else Observed()
    decision = decide(Inputs(clock.now(), state, desired, "", observed))
    new = decision.state.plan if decision.state.generation != state.generation else None
    return Preview(desired, state, decision, new)


def text(one: Preview) -> str:
    """The preview for people."""
    artifact = one.desired.artifact
    head = f"{one.desired.key}: {_serves(one.before)} → {artifact.version} ({short(artifact.revision)})"
    if one.plan is None:
        why = "; ".join(f"{wait.condition}: {wait.message}" for wait in one.decision.waiting)
        same = one.before.stable is not None and one.before.stable.digest == release_digest(one.desired)
        return f"{head}\n  nothing to do" + (": it serves already" if same and not why else f": {why}" if why else "")
    lines = [head, f"  plan {short(one.plan.digest)}, generation {one.plan.parent} → {one.plan.generation}"]
    for number, action in enumerate(one.plan.actions, start=1):
        lines.append(f"  {number}. {_action(action)}")
    return "\n".join([*lines, *_steps(one)])


def _serves(state: KeyState) -> str:
    return state.stable.desired.artifact.version if state.stable else "nothing"


def _action(action: object) -> str:
    if isinstance(action, Scale):
        return f"run {action.count} of {short(action.digest)}" if action.count else f"stop {short(action.digest)}"
    route = action.route  # type: ignore[attr-defined]  # the union has two members
    if route.canary is None:
        return (
            f"port {route.port}: all traffic to {short(route.stable)}"
            if route.stable
            else f"port {route.port}: no traffic"
        )
    share = output.weight(route.weight)
    return f"port {route.port}: {share} of the traffic to {short(route.canary)}, once its instances are ready"


def _steps(one: Preview) -> list[str]:
    rollout = one.decision.state.rollout
    if rollout is None:
        return []
    lines = ["  then, while the analysis finds it healthy:"]
    for step in steps_of(rollout, one.before.stable):
        count = capacity(one.desired.instances, step.weight)
        requests = f" and {step.requests} requests" if step.requests else ""
        bake = format_duration(step.bake)
        lines.append(f"    {output.weight(step.weight):>6} on {count} instances, for at least {bake}{requests}")
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
        "waiting": plain(one.decision.waiting),
    }
