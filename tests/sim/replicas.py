"""Replicas of the controller, interleaved at their port calls by a scheduler that lets exactly one of them run.

Each replica has a thread, for its stack: a baton goes from one to the next, so that the same seed gives the same run. The
product's own code stays what it is; a replica is crashed by an exception that nothing of it catches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from sim.world import World

from reconciler.controller import Controller
from reconciler.core.desired import Key
from reconciler.reconcile import Look, Ports
from reconciler.store.sql import SqlStore
from reconciler.workqueue import WorkQueue


class Crash(BaseException):
    """The process is killed here."""


class Over(BaseException):
    """The simulation has ended."""


class Violated(BaseException):
    """An invariant does not hold. No ``except Exception`` swallows it."""


class Faults(Protocol):
    """Decides what happens at a port call: seconds that it takes, or a Crash."""

    def at(self, number: int, call: str, seconds: float) -> float:
        """Called with the number of the port call, its name and the time. Raises Crash."""
        ...

    def restart(self) -> float:
        """Seconds until a crashed replica runs again."""
        ...


class Observer(Protocol):
    """Is told of every port call that was made, of every look, and when there is nothing to look at."""

    def called(self, call: str, args: tuple[Any, ...], before: Any) -> None: ...

    def before(self, call: str, args: tuple[Any, ...]) -> Any: ...

    def looked(self, key: Key, look: Look | None, result: str) -> None: ...

    def rested(self) -> None: ...


class Ported:
    """Stands before a port: every call of it is a place where a replica may stall or crash, before and after."""

    def __init__(self, name: str, inner: Any, replica: Replica) -> None:
        self._name = name
        self._inner = inner
        self._replica = replica

    def __getattr__(self, attribute: str) -> Callable[..., Any]:
        method = getattr(self._inner, attribute)
        replica, call = self._replica, f"{self._name}.{attribute}"

        def forward(*args: Any, **named: Any) -> Any:
            replica.point(f"before {call}")
            before = replica.scheduler.observer.before(call, args)
            result = method(*args, **named)
            replica.scheduler.observer.called(call, args, before)
            replica.point(f"after {call}")
            return result

        return forward


class Replica:
    """One daemon: its own queue, tick buffer and caches, over the shared world."""

    def __init__(self, scheduler: Scheduler, number: int) -> None:
        self.scheduler = scheduler
        self.number = number
        self.wake = 0.0
        self.idle = False
        self.baton = threading.Semaphore(0)
        self.queue: WorkQueue[Key] | None = None
        self.thread = threading.Thread(target=self._run, name=f"replica {number}", daemon=True)

    def _run(self) -> None:
        self.baton.acquire()
        try:
            while not self.scheduler.over:
                self._live()
        except Over:
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.scheduler.stop(error)

    def _live(self) -> None:
        try:
            controller = self._boot()
            while True:
                if controller.process_one() is None:
                    self.scheduler.observer.rested()
                    due = controller.queue.next_due()
                    now = self.scheduler.world.clock.elapsed
                    self.scheduler.wait(self, 60.0 if due is None else max(0.0, due - now), idle=True)
        except Crash:
            self.queue = None
            self.scheduler.wait(self, self.scheduler.faults.restart())

    def _boot(self) -> Controller:
        world = self.scheduler.world
        self.queue = WorkQueue(world.clock.seconds)
        for key in self.scheduler.keys:
            self.queue.add(key)
        ports = Ports(
            clock=world.clock,
            store=Ported("store", SqlStore(world.database, ()), self),
            desires=Ported("desires", world.desires, self),
            target=lambda _: Ported("target", world.target, self),
            router=lambda _: Ported("router", world.router, self),
            metrics=lambda _: Ported("metrics", world.metrics, self),
        )
        return Controller(ports, self.queue, self._watch, lambda seconds: seconds)

    def _watch(self, key: Key, look: Look | None, result: str, _: float) -> None:
        self.scheduler.observer.looked(key, look, result)

    def point(self, call: str) -> None:
        """A port call begins or has ended."""
        scheduler = self.scheduler
        if scheduler.over:
            raise Over
        scheduler.calls += 1
        delay = scheduler.faults.at(scheduler.calls, call, scheduler.world.clock.elapsed)
        if delay > 0:
            scheduler.wait(self, delay)


class Scheduler:
    """Runs replicas until somebody calls ``stop``, always the one that is due first, and lets time pass between."""

    def __init__(self, world: World, keys: tuple[Key, ...], replicas: int, faults: Faults) -> None:
        self.world = world
        self.keys = keys
        self.faults = faults
        self.observer: Observer
        self.calls = 0
        self.over = False
        self.error: BaseException | None = None
        self._ended = threading.Event()
        self.replicas = [Replica(self, number) for number in range(replicas)]

    def run(self, observer: Observer) -> None:
        """Simulate. Raises what went wrong in any replica."""
        self.observer = observer
        for replica in self.replicas:
            replica.thread.start()
        self.replicas[0].baton.release()
        self._ended.wait()
        for replica in self.replicas:
            replica.baton.release()
        for replica in self.replicas:
            replica.thread.join()
        if self.error is not None:
            raise self.error

    def stop(self, error: BaseException | None = None) -> None:
        """End the simulation; the first error is what ``run`` raises."""
        self.error = self.error or error
        self.over = True
        self._ended.set()

    def nudge(self, key: Key) -> None:
        """Something happened to a key: every replica that does nothing else looks at it now."""
        for replica in self.replicas:
            if replica.queue is not None:
                replica.queue.add(key)
                replica.wake = min(replica.wake, self.world.clock.elapsed) if replica.idle else replica.wake

    def wait(self, replica: Replica, seconds: float, *, idle: bool = False) -> None:
        """Let others run until ``seconds`` have passed, or, for an idle replica, until it is nudged. Raises Over."""
        replica.wake, replica.idle = self.world.clock.elapsed + seconds, idle
        following = self._next()
        if following is not replica and not self.over:
            following.baton.release()
            replica.baton.acquire()
        if self.over:
            raise Over

    def _next(self) -> Replica:
        while True:
            first = min(self.replicas, key=lambda one: (one.wake, one.number))
            if self.over or not self.world.pass_until(first.wake):
                return first
