"""One key before ``decide``, with a world that obeys at once: for tests of decisions, without ports or threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fakes.values import KEY, at, counters, desired, instances, release

from reconciler.core.decide import decide
from reconciler.core.desired import DesiredState, OnDelete, Tombstone
from reconciler.core.inputs import Decision, Inputs
from reconciler.core.observed import Observed, Reading, Tick
from reconciler.core.plan import traffic_for
from reconciler.core.state import KeyState, Request, Scale, Verb


@dataclass(slots=True)
class Scene:
    """State, world and evidence of one key. ``look`` decides, ``obey`` lets the world follow, ``bake`` adds evidence."""

    state: KeyState = field(default_factory=lambda: KeyState(KEY))
    desired: DesiredState | None = None
    problem: str = ""
    tombstone: Tombstone | None = None
    observed: Observed = field(default_factory=Observed)
    seconds: float = 0.0
    jump: float = 0.0
    boot: str = "boot-1"
    ticks: tuple[Tick, ...] = ()
    requests: tuple[Request, ...] = ()
    served: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Requests and failures of stable, then of canary, so far."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Other fields of the inputs."""

    def inputs(self) -> Inputs:
        rollout = self.state.rollout
        mine = tuple(tick for tick in self.ticks if rollout is not None and tick.attempt == rollout.attempt)
        return Inputs(
            now=at(self.seconds, jump=self.jump, boot=self.boot),
            state=self.state,
            desired=self.desired,
            problem=self.problem,
            observed=self.observed,
            ticks=mine,
            requests=self.requests,
            tombstone=self.tombstone if self.desired is None else None,
            **self.extra,
        )

    def look(self) -> Decision:
        decision = decide(self.inputs())
        self.state = decision.state
        answered = {answer.request for answer in decision.answers}
        self.requests = tuple(one for one in self.requests if one.id not in answered)
        return decision

    def obey(self) -> Decision:
        """Look, and do everything that is due at once."""
        decision = self.look()
        releases = {one.digest: one for one in decision.state.plan.releases} if decision.state.plan else {}
        for action in decision.due.actions:
            if isinstance(action, Scale):
                others = tuple(one for one in self.observed.instances if one.digest != action.digest)
                mine = instances(releases[action.digest], action.count)
                self.observed = replace(self.observed, instances=(*others, *mine))
            else:
                traffic = traffic_for(action.route, self.observed, decision.state.plan.actions)
                served = traffic.stable or traffic.canary
                self.observed = replace(self.observed, traffic=traffic if served else None)
        self.seconds += 0.1
        return decision

    def until(self, done: Callable[[KeyState], bool], most: int = 100) -> None:
        """Obey until the state is as wanted."""
        for _ in range(most):
            if done(self.state):
                return
            self.obey()
        raise AssertionError(f"not within {most} looks: {self.state}")

    def tick(
        self, seconds: float = 2.0, canary: tuple[int, int] = (1000, 1), stable: tuple[int, int] = (9000, 9)
    ) -> None:
        """Let time pass and requests be served: (sent, failed) of each side."""
        rollout = self.state.rollout
        assert rollout is not None
        self.seconds += seconds
        self.served = (
            self.served[0] + stable[0],
            self.served[1] + stable[1],
            self.served[2] + canary[0],
            self.served[3] + canary[1],
        )
        step = rollout.step if rollout.confirmed is not None else -1
        mine = [one for one in self.ticks if one.attempt == rollout.attempt]
        now = at(self.seconds, jump=self.jump, boot=self.boot)
        reading = Reading(now, counters(*self.served[:2]), counters(*self.served[2:]))
        weight = self.observed.traffic.weight if self.observed.traffic else 0
        self.ticks = (*self.ticks, Tick(rollout.attempt, len(mine) + 1, step, weight, reading))

    def bake(self, seconds: float = 12.0, **sides: tuple[int, int]) -> None:
        """Ticks every two seconds for a while, without a look."""
        for _ in range(int(seconds / 2) + 1):
            self.tick(**sides)

    def ask(self, verb: Verb, expires: float | None = None) -> None:
        """Have Ada ask for something, bound to what is in progress, as the daemon does; the next look answers."""
        number = len(self.requests) + 1
        wall = at(self.seconds, jump=self.jump).wall
        rollout = self.state.rollout
        seen = (rollout.attempt, rollout.step) if rollout else (0, 0)
        self.requests = (*self.requests, Request(number, verb, "ada", "because", wall, expires, *seen))

    # --- ways to well-known states -----------------------------------------------------------------------------------

    def commit(self, version: str, **changes: Any) -> None:
        self.desired, self.tombstone = desired(version, **changes), None

    def remove(self, on_delete: OnDelete = OnDelete.KEEP) -> None:
        """Have the manifest removed."""
        wanted = self.desired or desired("v1")
        self.desired, self.tombstone = None, Tombstone(replace(wanted, on_delete=on_delete), "d" * 40)

    def certify(self, version: str, **changes: Any) -> None:
        """Bring a version into service, with a certificate."""
        self.commit(version, **changes)
        digest = release(version, **changes).digest
        for _ in range(10):
            self.baking()
            self.bake()
            self.obey()
            if self.state.rollout is not None and self.state.rollout.phase == "promoting":
                break
        self.drained()
        assert self.state.stable is not None
        assert self.state.stable.digest == digest

    def baking(self) -> None:
        """Up to the moment from which a step's traffic is in force."""
        self.until(lambda state: state.rollout is not None and state.rollout.confirmed is not None)

    def drained(self) -> None:
        """Let time pass until an attempt, perhaps one that is just being asked for, has ended."""
        self.obey()
        self.until(lambda state: state.rollout is None)
        self.obey()
