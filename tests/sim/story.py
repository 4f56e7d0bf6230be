"""What happens in a simulation: commits, people, and faults, all of it from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from functools import partial

from fakes.target import Behaviour
from fakes.values import KEY, POLICY, desired
from sim.invariants import Invariants
from sim.replicas import Crash, Faults, Scheduler
from sim.world import Truth, World

from reconciler.core.desired import DesiredState, Key, OnDelete, Step, Strategy, StrategyKind
from reconciler.core.state import Request, Verb
from reconciler.store.sql import SqlStore

LONGEST = 120.0
"""Seconds within which everything that happens by chance begins."""
STALLS = (0.001, 0.05, 1.0, 4.0, 15.0)
BROKEN = "prodsprint.yaml:3:1: unknown key"
CALM = 10.0
"""Seconds after the last of it for which replicas still crash and stall."""

TRUTHS = {
    "good-1": Truth(),
    "good-2": Truth(),
    "good-3": Truth(0.0005),
    "slow-start": Truth(behaviour=Behaviour(prepare=3.0, start=5.0, stop=2.0)),
    "bad-1": Truth(0.2),
    "bad-2": Truth(0.2, Behaviour(start=1.0)),
    "never-ready": Truth(behaviour=Behaviour(start=1e9)),
    "exits": Truth(behaviour=Behaviour(start=0.5, fails="exit status 3")),
}
STEPS = (
    (Step(500, 6.0), Step(2500, 6.0), Step(10_000, 6.0)),
    (Step(100, 4.0), Step(500, 4.0), Step(2500, 4.0), Step(10_000, 8.0)),
    (Step(1000, 5.0, 200), Step(10_000, 5.0)),
)
AT_ONCE = (Step(10_000, 6.0),)


@dataclass(slots=True)
class RandomFaults:
    """Crashes and stalls at port calls, with a probability each, until ``until``."""

    chance: random.Random
    crash: float
    stall: float
    until: float = 0.0

    def at(self, number: int, call: str, seconds: float) -> float:
        """See ``replicas.Faults``."""
        if seconds >= self.until:
            return 0.0
        luck = self.chance.random()
        if luck < self.crash:
            raise Crash(call)
        return self.chance.choice(STALLS) if luck < self.crash + self.stall else 0.0

    def restart(self) -> float:
        """See ``replicas.Faults``."""
        return self.chance.choice((0.0, 0.1, 1.0, 10.0))


@dataclass(slots=True)
class CrashAt:
    """One crash, at the port call of that number."""

    number: int
    happened: str = ""

    def at(self, number: int, call: str, seconds: float) -> float:
        """See ``replicas.Faults``."""
        if number == self.number:
            self.happened = call
            raise Crash(call)
        return 0.0

    def restart(self) -> float:
        """See ``replicas.Faults``."""
        return 0.5


@dataclass(slots=True)
class Story:
    """One simulation in the making. ``log`` says what was decided by chance, for whoever replays a seed."""

    seed: int
    replicas: int = 0
    log: list[str] = field(default_factory=list)

    def run(self) -> Invariants:
        """Simulate, and check every invariant. Raises Violated."""
        chance = random.Random(f"story {self.seed}")
        world = World(self.seed, TRUTHS)
        world.router.delay = chance.choice((0.0, 0.005, 0.2))
        faults = RandomFaults(
            random.Random(f"faults {self.seed}"),
            crash=chance.choice((0.0, 0.002, 0.01)),
            stall=chance.choice((0.0, 0.002, 0.02)),
        )
        keys = (KEY, replace(KEY, environment="second")) if chance.random() < 0.15 else (KEY,)
        self.replicas = chance.choice((1, 1, 2, 3))
        scheduler = Scheduler(world, keys, self.replicas, faults)
        watch = Invariants(world, scheduler)
        self.log.append(f"{self.replicas} replicas, crash {faults.crash}, stall {faults.stall}")
        self._commits(chance, world, scheduler)
        self._people(chance, world, scheduler)
        self._trouble(chance, world, scheduler)
        self._mistakes(random.Random(f"mistakes {self.seed}"), world, scheduler)
        faults.until = world.last_event() + CALM
        watch.quiet = faults.until + max(STALLS)
        scheduler.run(watch)
        watch.ended()
        return watch

    # --- what git asks for -------------------------------------------------------------------------------------------

    def _commits(self, chance: random.Random, world: World, scheduler: Scheduler) -> None:
        strategy, on_delete = self._strategy(chance), chance.choice(tuple(OnDelete))
        versions = ["good-1"] if chance.random() < 0.9 else []
        versions += chance.choices(tuple(TRUTHS), k=chance.choice((1, 2, 3, 4)))
        moment = 0.0
        for version in versions:
            size = chance.choice((1, 2, 3, 5))
            for key in scheduler.keys:
                after = (KEY.environment,) if key is not KEY else ()
                wanted = desired(version, key, strategy=strategy, instances=size, after=after, on_delete=on_delete)
                self._at(
                    world, moment, f"commit {version} for {key}", lambda one=wanted: self._commit(world, scheduler, one)
                )
            moment += chance.choice((0.01, 1.0, 12.0, 40.0, 60.0))
        if chance.random() < 0.1:
            self._at(world, moment, "manifest gone", lambda: self._gone(world, scheduler, KEY))
        elif chance.random() < 0.3:
            self._removals(chance, world, scheduler, moment)

    def _removals(self, chance: random.Random, world: World, scheduler: Scheduler, moment: float) -> None:
        """The manifest is removed, perhaps in the middle of things; and perhaps it comes back, or a person ends it."""
        moment = chance.choice((moment, chance.uniform(0.0, moment)))
        self._at(world, moment, "manifest removed", lambda: self._remove(world, scheduler, KEY))
        for _ in range(chance.choice((0, 1, 1, 3))):
            moment += chance.choice((0.01, 0.1, 1.0, 3.0, 20.0))
            version = chance.choice(("good-1", "good-2", "bad-1"))
            wanted = desired(version, strategy=self._strategy(chance), on_delete=chance.choice(tuple(OnDelete)))
            self._at(
                world, moment, f"it comes back with {version}", lambda one=wanted: self._commit(world, scheduler, one)
            )
            moment += chance.choice((0.05, 1.0, 5.0, 30.0))
            self._at(world, moment, "manifest removed", lambda: self._remove(world, scheduler, KEY))
        if chance.random() < 0.4:
            moment += chance.choice((0.0, 1.0, 40.0))
            self._at(world, moment, "request retire", lambda: self._request(world, scheduler, Verb.RETIRE))

    def _mistakes(self, chance: random.Random, world: World, scheduler: Scheduler) -> None:
        """Commits break the manifest, which keeps what is in force, and mend it; causes are worded anew meanwhile."""
        moment, more = chance.uniform(0.0, LONGEST), (f"{BROKEN} (timed out)", BROKEN.replace(":3:", ":4:"))
        for problem in chance.choice(((), (), (), (BROKEN,), (BROKEN, *more))):
            self._at(world, moment, problem, partial(self._break, world, scheduler, problem))
            moment += chance.choice((0.01, 1.0, 20.0))
        self._at(world, moment, "manifest sound", partial(self._break, world, scheduler, ""))

    def _break(self, world: World, scheduler: Scheduler, problem: str) -> None:
        world.desires.problems[KEY] = problem
        scheduler.nudge(KEY)

    def _strategy(self, chance: random.Random) -> Strategy:
        gradual = chance.random() < 0.85
        kind = StrategyKind.CANARY if gradual else StrategyKind.ALL_AT_ONCE
        steps = chance.choice(STEPS) if gradual else AT_ONCE
        limits = {"max_bake": 120.0, "hold_deadline": 300.0, "progress_deadline": 40.0}
        return Strategy(kind, steps, drain=chance.choice((0.0, 2.0)), **limits)

    def _commit(self, world: World, scheduler: Scheduler, wanted: DesiredState) -> None:
        world.commit(wanted)
        scheduler.nudge(wanted.key)

    def _gone(self, world: World, scheduler: Scheduler, key: Key) -> None:
        world.desires.wanted[key] = None
        scheduler.nudge(key)

    def _remove(self, world: World, scheduler: Scheduler, key: Key) -> None:
        world.desires.remove(key)
        scheduler.nudge(key)

    # --- people ------------------------------------------------------------------------------------------------------

    def _people(self, chance: random.Random, world: World, scheduler: Scheduler) -> None:
        if chance.random() < 0.6:
            return
        for _ in range(chance.choice((1, 2, 5))):
            verb = chance.choice(tuple(Verb))
            moment = chance.uniform(1.0, LONGEST)
            self._at(world, moment, f"request {verb}", lambda verb=verb: self._request(world, scheduler, verb))

    def _request(self, world: World, scheduler: Scheduler, verb: Verb) -> None:
        now = world.clock.now().wall
        expires = now + 20.0 if verb is Verb.PAUSE else None
        SqlStore(world.database, ()).submit(KEY, Request(0, verb, "ada", "to see what happens", now, expires))
        scheduler.nudge(KEY)

    # --- trouble -----------------------------------------------------------------------------------------------------

    def _trouble(self, chance: random.Random, world: World, scheduler: Scheduler) -> None:
        for _ in range(chance.choice((0, 0, 1, 2, 4))):
            moment, last = chance.uniform(0.0, LONGEST), chance.choice((0.5, 3.0, 25.0))
            kind = chance.choice(
                ("metrics down", "metrics reset", "router restart", "target down", "clock", "instance")
            )
            self.log.append(f"{moment:.3f}: {kind} for {last} s")
            if kind == "metrics down":
                self._outage(world, world.metrics, moment, last)
            elif kind == "target down":
                self._outage(world, world.target, moment, last)
            elif kind == "metrics reset":
                world.at(moment, world.metrics.restart)
            elif kind == "router restart":
                self._outage(world, world.router, moment, last)
                world.at(moment + last, world.metrics.restart)
            elif kind == "clock":
                world.at(moment, partial(world.clock.jump, chance.choice((-3600.0, 3600.0))))
            else:
                world.at(moment, partial(self._crash_one, world, chance.random()))

    def _outage(self, world: World, port: object, moment: float, last: float) -> None:
        world.at(moment, lambda: setattr(port, "error", "connection refused"))
        world.at(moment + last, lambda: setattr(port, "error", ""))

    def _crash_one(self, world: World, luck: float) -> None:
        running = world.target.running(KEY)
        if running:
            one = running[int(luck * len(running))]
            world.crash(KEY, one.digest, one.ordinal, 2.0)

    def _at(self, world: World, moment: float, what: str, event) -> None:
        self.log.append(f"{moment:.3f}: {what}")
        world.at(moment, event)


@dataclass(slots=True)
class Recorder:
    """No faults, but the names of all port calls, in order."""

    calls: list[str] = field(default_factory=list)

    def at(self, number: int, call: str, seconds: float) -> float:
        """See ``replicas.Faults``."""
        self.calls.append(call)
        return 0.0

    def restart(self) -> float:
        """See ``replicas.Faults``."""
        return 0.0


def fixed(faults: Faults) -> Invariants:
    """The story of a first, a good and a bad version, with no chance in it but the traffic's. Raises Violated."""
    world = World(1, TRUTHS)
    world.router.delay = 0.01
    scheduler = Scheduler(world, (KEY,), 1, faults)
    watch = Invariants(world, scheduler, quiet=40.0, bound=120.0, most_looks=1000, most_commits=60)
    strategy = Strategy(StrategyKind.CANARY, (Step(2000, 4.0), Step(10_000, 4.0)), 60.0, 300.0, 30.0, drain=1.0)
    story = Story(0)
    for moment, version in ((0.0, "good-1"), (15.0, "good-2"), (40.0, "bad-1")):
        wanted = desired(version, strategy=strategy, analysis=replace(POLICY, interval=1.0))
        world.at(moment, lambda one=wanted: story._commit(world, scheduler, one))
    scheduler.run(watch)
    watch.ended()
    return watch


def removed(faults: Faults, *, back: bool = False, on_delete: OnDelete = OnDelete.DESTROY) -> Invariants:
    """The story of a service whose manifest is removed in the middle of its second release, and all of it with it.

    With ``back`` the manifest returns while it is being taken out of service. Raises Violated.
    """
    world = World(1, TRUTHS)
    world.router.delay = 0.01
    scheduler = Scheduler(world, (KEY,), 1, faults)
    watch = Invariants(world, scheduler, quiet=40.0, bound=120.0, most_looks=1000, most_commits=60)
    strategy = Strategy(StrategyKind.CANARY, (Step(2000, 4.0), Step(10_000, 4.0)), 60.0, 300.0, 30.0, drain=1.0)
    story, changes = Story(0), {"strategy": strategy, "analysis": replace(POLICY, interval=1.0)}
    for moment, version in ((0.0, "good-1"), (15.0, "good-2")):
        wanted = desired(version, on_delete=on_delete, **changes)
        world.at(moment, lambda one=wanted: story._commit(world, scheduler, one))
    world.at(18.0, lambda: story._remove(world, scheduler, KEY))
    if back:
        world.at(20.0, lambda: story._commit(world, scheduler, desired("good-3", **changes)))
    scheduler.run(watch)
    watch.ended()
    return watch


def outcome(watch: Invariants) -> list[tuple[str, str]]:
    """What became of every version of the fixed story, oldest first."""
    return [(one.version, one.result.value) for one in reversed(watch.states[KEY].history)]
