"""What has to be true after every port call of every replica, whatever happens."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sim.replicas import Scheduler, Violated
from sim.world import World, share_of

from reconciler.core.desired import FULL_WEIGHT, Key, OnDelete, Release, StrategyKind
from reconciler.core.digest import release_digest
from reconciler.core.observed import Observed, Traffic
from reconciler.core.plan import endpoints, in_force, ready, steps_of
from reconciler.core.state import KeyState, Phase, Rollout, RolloutKind, Route, Scale, SetRoute, Verb, retired
from reconciler.ports import Transition
from reconciler.reconcile import Look
from reconciler.store.sql import SqlStore

QUIET = 15.0
"""Seconds without a commit, longer than any look waits, after which a key that has nothing in progress is settled."""


@dataclass(slots=True)
class Invariants:
    """Watches a simulation. ``quiet`` is when faults and commits are over; within ``bound`` seconds from then all settles."""

    world: World
    scheduler: Scheduler
    quiet: float = 0.0
    bound: float = 2_000.0
    most_looks: int = 40_000
    most_commits: int = 1_500
    looks: int = 0
    commits: int = 0
    last_commit: float = 0.0
    plans: dict[Key, dict[int, tuple[object, ...]]] = field(default_factory=dict)
    states: dict[Key, KeyState] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    """What was recorded of manifests."""
    interfered: bool = False
    """Whether a person's verb moved traffic or ended an attempt."""

    # --- hooks -------------------------------------------------------------------------------------------------------

    def before(self, call: str, args: tuple[Any, ...]) -> Any:
        """Called just before a port call; what it returns is given to ``called``."""
        if call == "target.apply":
            self._scale(*args)
        elif call == "router.apply":
            self._route(*args)
        return None

    def called(self, call: str, args: tuple[Any, ...], before: Any) -> None:
        """Called just after a port call that did not raise."""
        if call == "store.commit":
            self._committed(args[0])

    def looked(self, key: Key, look: Look | None, result: str) -> None:
        """Called after every look."""
        self.looks += 1
        if result in ("error", "terminal_error"):
            self._fail(f"a look at {key} ended in {result}")
        if self.looks > self.most_looks:
            self._fail(f"{self.looks} looks: a loop that never rests")
        self.rested()

    def rested(self) -> None:
        """Called after every look, and when a replica has nothing to look at."""
        now = self.world.clock.elapsed
        if now > self.quiet and now - self.last_commit > QUIET and all(map(self._settled, self.scheduler.keys)):
            self.scheduler.stop()
        elif now > self.quiet + self.bound:
            self._fail(f"not settled {self.bound:g} s after the last fault: {self.states}")

    def _settled(self, key: Key) -> bool:
        state = self.states.get(key)
        if state is None:
            return True
        if state.retirement is not None and self._unasked(key) and not retired(state):
            return False
        held = state.rollout is not None and state.rollout.held is not None and state.stable is None
        return state.rollout is None or held or self._without_manifest(key, state)

    def _without_manifest(self, key: Key, state: KeyState) -> bool:
        """Whether a rollout does not go on because nobody asks for it any more."""
        current = state.rollout
        stepping = current is not None and current.phase is Phase.STEPPING and current.confirmed is not None
        return stepping and self._unasked(key)

    def _unasked(self, key: Key) -> bool:
        return self.world.desires.wanted.get(key) is None

    def _fail(self, message: str) -> None:
        raise Violated(f"at {self.world.clock.elapsed:.3f} s, port call {self.scheduler.calls}: {message}")

    # --- actions -----------------------------------------------------------------------------------------------------

    def _planned(self, key: Key, generation: int, action: Scale | Route) -> None:
        actions = self.plans.get(key, {}).get(generation, ())
        named = {one.route if isinstance(one, SetRoute) else one for one in actions}
        if action not in named:
            self._fail(f"{action} is done for generation {generation}, whose saved plan is {actions}")

    def _scale(self, key: Key, release: Release, count: int, generation: int) -> None:
        self._planned(key, generation, Scale(release.digest, count))
        if generation < self.world.target.fence(key):
            return  # refused
        traffic = self.world.router.in_force(key)
        share = share_of(traffic, release.digest)
        if count == 0 and share > 0:
            self._fail(f"instances of {release.digest[:8]} are stopped while it gets {share / 100} % of the traffic")

    def _route(self, key: Key, traffic: Traffic, generation: int) -> None:
        route = Route(
            traffic.port,
            traffic.stable and traffic.stable.digest,
            traffic.canary and traffic.canary.digest,
            traffic.weight,
        )
        self._planned(key, generation, route)
        if generation < self.world.router.fence(key):
            return  # refused
        now = self.world.router.in_force(key)
        observed = Observed(self.world.target.running(key), now)
        if in_force(route, observed):
            return
        for side in (traffic.stable, traffic.canary):
            if side is None or share_of(traffic, side.digest) <= share_of(now, side.digest):
                continue
            if not set(side.endpoints) & set(endpoints(observed, side.digest)) and not self.world.crashed(side.digest):
                self._fail(f"traffic is moved to {side.digest[:8]}, of which {ready(observed, side.digest)} are ready")

    # --- transitions -------------------------------------------------------------------------------------------------

    def _committed(self, transition: Transition) -> None:
        after = transition.state
        before = self.states.get(after.key, KeyState(after.key))
        self.states[after.key] = after
        self.commits, self.last_commit = self.commits + 1, self.world.clock.elapsed
        if self.commits > self.most_commits:
            self._fail(f"{self.commits} commits: the state never rests; last records: {transition.records}")
        verbs = (Verb.PROMOTE, Verb.ABORT, Verb.ROLLBACK)
        by_person = any(one.type in {f"request.{verb}.accepted" for verb in verbs} for one in transition.records)
        self.interfered = self.interfered or by_person
        if after.revision != before.revision + 1:
            self._fail(f"revision {before.revision} is followed by {after.revision}")
        self._plan_follows(before, after)
        self._attempt_follows(before, after)
        self._something_serves(before, after, transition.inputs)
        self._end_was_asked_for(before, after, transition)
        self._manifest_was_told_of(before, after, transition)
        if not by_person:
            self._step_was_earned(before, after)

    def _plan_follows(self, before: KeyState, after: KeyState) -> None:
        plan = after.plan
        if plan is None:
            return
        plans = self.plans.setdefault(after.key, {})
        if plan.generation not in plans:
            if plan.parent != before.generation or plan.generation != before.generation + 1:
                self._fail(f"plan {plan.generation} names {plan.parent} as its parent, which was {before.generation}")
            plans[plan.generation] = plan.actions
        elif plans[plan.generation] != plan.actions:
            self._fail(f"plan {plan.generation} was changed")

    def _attempt_follows(self, before: KeyState, after: KeyState) -> None:
        old, new = before.rollout, after.rollout
        if new is None or (old is not None and old.attempt == new.attempt):
            return
        if new.attempt != before.attempts + 1:
            self._fail(f"attempt {new.attempt} begins after {before.attempts}")
        if old is not None and old.attempt not in {one.attempt for one in after.history}:
            self._fail(f"attempt {new.attempt} begins before attempt {old.attempt} has ended")
        if new.release.digest in {row.digest for row in before.quarantined}:
            self._fail(f"attempt {new.attempt} is for {new.release.digest[:8]}, which is quarantined")

    def _something_serves(self, before: KeyState, after: KeyState, inputs: str) -> None:
        old, new = before.rollout, after.rollout
        if after.stable is not None or old is None or new is None or new.phase is not Phase.ROLLING_BACK:
            return
        # What was seen counts: a replica that stalls may decide on a world that has moved on since.
        seen = json.loads(inputs)["observed"]["traffic"]
        if old.phase is Phase.STEPPING and (seen is not None or old.confirmed is not None):
            self._fail(f"the only release that serves is taken away: {seen}")

    def _end_was_asked_for(self, before: KeyState, after: KeyState, transition: Transition) -> None:
        """Nothing that serves is given up without a tombstone that says so, or a person; never while git asks for it."""
        inputs = json.loads(transition.inputs)
        asked, gone = inputs.get("desired") is not None, inputs.get("tombstone")
        begins = after.retirement is not None and before.retirement is None
        person = any(one.type == "request.retire.accepted" for one in transition.records)
        says = gone is not None and gone["desired"]["on_delete"] == OnDelete.DESTROY
        empty = gone is not None and before.stable is None
        if begins and (asked or inputs["problem"] or not (person or says or empty)):
            self._fail(f"{after.key} is taken out of service, but nobody asked for that")
        if before.stable is not None and after.stable is None:
            again = after.rollout is not None and after.rollout.release.digest == before.stable.digest
            if not again and (before.retirement is None or asked):
                self._fail(f"{before.stable.digest[:8]} is given up, although nobody asked for that")
        if retired(after) and not retired(before):
            traffic, running = self.world.router.in_force(after.key), self.world.target.running(after.key)
            if traffic is not None or running:
                self._fail(f"{after.key} is called retired with {traffic} and {running}")

    def _manifest_was_told_of(self, before: KeyState, after: KeyState, transition: Transition) -> None:
        """What is wrong with a manifest is recorded once a change."""
        told = [one.type for one in transition.records if one.type.startswith("manifest.")]
        self.told += told
        inputs = json.loads(transition.inputs)
        changed = after.problem != before.problem and inputs.get("desired") is not None
        if told != [("manifest.broken" if after.problem else "manifest.mended")] * changed:
            self._fail(f"{before.problem!r} is followed by {after.problem!r}, and {told} is recorded")

    def _step_was_earned(self, before: KeyState, after: KeyState) -> None:
        old, new = before.rollout, after.rollout
        if old is None or new is None or old.attempt != new.attempt or old.phase is not Phase.STEPPING:
            return
        passed = new.phase is Phase.PROMOTING or new.step > old.step
        if not passed or old.kind is RolloutKind.ROLLBACK:
            return
        if new.phase is Phase.STEPPING and new.step != old.step + 1:
            self._fail(f"step {old.step} is followed by {new.step}")
        self._dwell_was_served(before, old)

    def _dwell_was_served(self, before: KeyState, rollout: Rollout) -> None:
        seen = self.world.seen[before.key]
        step = steps_of(rollout, before.stable)[rollout.step]
        expected = (before.stable and before.stable.digest, rollout.release.digest, step.weight)
        if seen.split != expected:
            self._fail(f"step {rollout.step} is left while {seen.split} is in force, not {expected}")
        if seen.seconds < step.bake - 1e-6:
            self._fail(f"step {rollout.step} is left after {seen.seconds:.3f} of {step.bake:g} s")
        uncompared = before.stable is None or rollout.release.desired.strategy.kind is StrategyKind.ALL_AT_ONCE
        if uncompared:
            return
        if seen.canary_requests == 0:
            self._fail(f"step {rollout.step} is left without one request to the canary")
        # An early step, which few requests meet, has a wider bar: only the certificate tells good from bad.
        if step.weight == FULL_WEIGHT and not self.world.truth(rollout.release).good:
            self._fail(f"{rollout.release.desired.artifact.version}, which is bad, passes step {rollout.step}")

    # --- the end -----------------------------------------------------------------------------------------------------

    def ended(self) -> None:
        """Check where every key has come to rest, and what the store has kept of it."""
        store = SqlStore(self.world.database, ())
        faults = [report.fault for report in store.verify() if report.fault]
        waiting = [one for key in self.scheduler.keys for one in store.requests(key)]
        kept = {key: store.load(key) for key in self.states}
        store.close()
        if faults or waiting:
            self._fail(f"the audit chain says {faults}; requests without an answer: {waiting}")
        if self.world.lost and not self.world.any_crashed():
            self._fail(f"{self.world.lost} requests were sent to where nothing listens")
        if kept != self.states:
            self._fail(f"the store holds {kept}, not {self.states}")
        for key, state in self.states.items():
            self._rests(key, state)

    def _rests(self, key: Key, state: KeyState) -> None:
        traffic, running = self.world.router.in_force(key), self.world.target.running(key)
        serving = state.stable or (state.rollout and state.rollout.release)
        if serving is None:
            if traffic is not None or running:
                self._fail(f"{key} has no release, but {traffic} and {running}")
            if self._unasked(key) and self.world.desires.tombstone(key) is not None and not retired(state):
                self._fail(f"nothing of {key} is left, and nobody says so")
            return
        gone = self.world.desires.tombstone(key)
        if gone is not None and gone.desired.on_delete is OnDelete.DESTROY:
            self._fail(f"{key} was to be destroyed, but {serving.digest[:8]} serves")
        trying = state.rollout.release.digest if state.rollout and self._without_manifest(key, state) else ""
        tried = share_of(traffic, trying) if trying != serving.digest else 0
        if share_of(traffic, serving.digest) + tried != FULL_WEIGHT:
            self._fail(f"{key} serves {serving.digest[:8]}, but its traffic is {traffic}")
        if ready(Observed(running), serving.digest) != serving.desired.instances:
            self._fail(f"{key} has {running}, not {serving.desired.instances} of {serving.digest[:8]}")
        self._outcome(key, state)

    def _outcome(self, key: Key, state: KeyState) -> None:
        wanted = self.world.desires.wanted.get(key)
        if wanted is None or self.interfered or wanted.after or state.pause is not None:
            return
        digest = release_digest(wanted)
        quarantined = digest in {row.digest for row in state.quarantined}
        good = self.world.truth(Release(digest, wanted)).good
        serves = state.stable is not None and state.stable.digest == digest
        # Failures of one instance that went down clump, which asks for far more evidence than there may be in time.
        if good and not serves and not self.world.any_crashed():
            self._fail(f"{wanted.artifact.version} is good, but was not promoted: {state.history[:1]}")
        first = state.stable is None or serves
        if not good and not quarantined and not first:
            self._fail(f"{wanted.artifact.version} is bad, but was not rolled back")
