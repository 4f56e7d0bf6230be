"""Release units for tests: a project of several components, on a target and a router that know nothing of them."""

from __future__ import annotations

from typing import Any

from fakes.place import Place
from fakes.router import FakeRouter
from fakes.values import KEY, desired, revision

from reconciler.core.components import part_key, version_of
from reconciler.core.desired import Artifact, Component, DesiredState, Key, Release
from reconciler.core.digest import release_digest
from reconciler.core.observed import Traffic
from reconciler.core.outcome import TransientError
from reconciler.core.state import Request, Verb

WEB, WORKER = part_key(KEY, "web"), part_key(KEY, "worker")


def part(name: str, version: str = "v1", port: int = 8081, instances: int = 1) -> Component:
    """One component, of a repo of its own."""
    artifact = Artifact(f"https://git.example/{name}", revision(f"{name} {version}"), version)
    return Component(name, artifact, f'{{"command":["{name}"]}}', "{}", instances, port)


def several(*some: Component, **changes: Any) -> DesiredState:
    """What a commit that asks for these components means."""
    first, *others = some
    return desired(
        component=first.name,
        artifact=first.artifact,
        spec=first.spec,
        runtime=first.runtime,
        instances=first.instances,
        port=first.port,
        components=tuple(others),
        **changes,
    )


def pair(version: str = "v1", worker: str = "", **changes: Any) -> DesiredState:
    """Two instances of ``web`` at 8080 with three of ``worker`` at 8081."""
    return several(part("web", version, 8080, 2), part("worker", worker or version, 8081, 3), **changes)


def frozen(wanted: DesiredState) -> Release:
    return Release(release_digest(wanted), wanted)


class OnePortEach(FakeRouter):
    """A router whose ports belong to one key at a time, as those of a machine do."""

    def apply(self, key: Key, traffic: Traffic, generation: int) -> None:
        serves = traffic.stable is not None or traffic.canary is not None
        for other in self._asked:
            there = self.in_force(other)
            if serves and other != key and there is not None and there.port == traffic.port:
                raise TransientError(f"port {traffic.port} of {key} belongs to {other}")
        super().apply(key, traffic, generation)

    def listeners(self) -> dict[int, tuple[str | None, str | None, int]]:
        """The split at each port: digests of stable and canary, and the weight."""
        found = [traffic for key in self._asked if (traffic := self.in_force(key)) is not None]
        ports = {
            one.port: (one.stable.digest if one.stable else None, one.canary.digest if one.canary else None, one.weight)
            for one in found
        }
        assert len(ports) == len(found)
        return ports


class UnitPlace(Place):
    """A place whose projects may have several components; every listener gets requests."""

    router: OnePortEach

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.router = OnePortEach(self.clock)
        self.failing: dict[tuple[str, int], float] = {}
        """Share of the requests that fail, by release and port."""

    def requests(self, count: int = 10_000) -> None:
        """Send requests to each listener, and count them as a proxy does."""
        for key in list(self.router._asked):
            split = self.router.in_force(key)
            sides = [] if split is None else [("stable", split.stable), ("canary", split.canary)]
            for role, side in sides:
                if side is not None:
                    share = split.weight if role == "canary" else 10_000 - split.weight
                    sent = count * share // 10_000
                    bad = self.failing.get((side.digest, split.port), 0.001)
                    self.metrics.record(key, role, sent, int(sent * bad))

    def bring(self, wanted: DesiredState, looks: int = 400) -> None:
        """Bring a desired state into service."""
        self.desires.commit(wanted)
        self.until(lambda state: state.rollout is None and state.stable == frozen(wanted), looks, version_of(wanted))
        self.look()

    def until(self, done: Any, looks: int = 400, what: str = "") -> None:
        """Look, with requests in between, until the state is as wanted."""
        for _ in range(looks):
            self.look()
            self.requests()
            self.clock.advance(1.0)
            if done(self.store.load(KEY)):
                return
        raise AssertionError(f"{what}: {self.store.load(KEY)}")


# --- what is expected ---

MORE = several(
    part("web", "v2", 8080, 2), part("worker", "v2", 8081, 3), part("mailer", "v1", 8082, 1), commit="b" * 40
)


def alone(wanted: Any) -> tuple[str, None, int]:
    return (frozen(wanted).digest, None, 0)


def counts(place: UnitPlace, digest: str) -> dict[str, int]:
    """How many instances of a release each component has."""
    found = {key.environment: place.target.running(key) for key in (KEY, WEB, WORKER)}
    numbers = {name: sum(one.digest == digest for one in some) for name, some in found.items()}
    return {name: number for name, number in numbers.items() if number}


def ask(place: UnitPlace, verb: Verb) -> None:
    place.store.submit(KEY, Request(0, verb, "ada", "because", place.clock.now().wall))


def at_ports(wanted: Any) -> dict[int, tuple[str, None, int]]:
    ports = [wanted.port, *(one.port for one in wanted.components)]
    return dict.fromkeys(ports, alone(wanted))
