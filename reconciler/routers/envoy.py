"""Splits traffic with one real Envoy per data directory, which reads its configuration from files.

What ``observe`` reports comes from Envoy's admin interface, not from the files. ``apply`` gives a side its endpoints before
it gets requests, and takes them away only when it no longer gets any, so that no request finds an empty side.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reconciler.core.components import owner
from reconciler.core.desired import FULL_WEIGHT, Instant, Key
from reconciler.core.observed import Backend, Traffic
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.ports import Host, RouterKind
from reconciler.routers import _envoy_config as config
from reconciler.routers._envoy_config import CLUSTERS, LISTENERS, ROLES, WEIGHTS
from reconciler.routers._envoy_files import XdsFiles
from reconciler.routers._envoy_process import EnvoyProcess

CLAIM_LASTS = 120.0
"""Seconds that a key is believed to wait for a port; it asks again long before."""
LOOKS, LOOK_EVERY = 25, 0.004
"""How often ``apply`` looks whether Envoy has taken a file in, and the seconds between: it takes about 3 ms."""


@dataclass(frozen=True, slots=True)
class _View:
    """What Envoy has in force for one key."""

    port: int | None
    port_error: str
    weight: int
    sides: dict[str, Backend | None]

    def share(self, role: str) -> int:
        """Hundredths of a percent that the side gets."""
        return self.weight if role == "canary" else FULL_WEIGHT - self.weight


class EnvoyRouter:
    """One listener per key; see ``ports.Router``."""

    def __init__(self, host: Host) -> None:
        data = host.data.resolve()
        self._listen, self._clock = host.listen, host.clock
        self._claims: dict[str, tuple[int, Instant]] = {}
        """Ports that keys were refused because another key has them, and when they last asked."""
        self._files = XdsFiles(data / "xds")
        self._files.prepare()
        self._envoy = EnvoyProcess(data, self._files, host.clock)
        self._envoy.ensure()

    def observe(self, key: Key) -> Traffic | None:
        """Report the split in force. Raises TransientError while Envoy does not answer."""
        view = self._view(key)
        if view.port is None:
            return None
        return Traffic(view.port, view.sides["stable"], view.sides["canary"], view.weight)

    def apply(self, key: Key, traffic: Traffic, generation: int) -> None:
        """Ask for a split; both sides None stops serving the key. Usually in force on return, in about 15 ms.

        Raises StaleGenerationError; TransientError while Envoy does not answer or the port is taken; TerminalError for a
        split that cannot be.
        """
        self._files.admit(key, generation)
        if traffic.stable is None and traffic.canary is None:
            self._remove(key)
            return
        self._check(key, traffic)
        view = self._view(key)
        if not _fit(view, traffic):
            self._put_sides(key, {role: _side(traffic, role) or _busy(view, role) for role in ROLES})
            view = self._await(key, lambda now: _fit(now, traffic))
            if not _fit(view, traffic):
                return
        if view.weight != traffic.weight or view.port != traffic.port:
            self._files.put(WEIGHTS, {str(key): config.weight_value(traffic.weight)})
            view = self._await(key, lambda now: now.weight == traffic.weight)
        if view.weight == traffic.weight:
            self._finish(key, traffic, view)

    def close(self) -> None:
        """Nothing is held: Envoy goes on under its shim."""

    def _finish(self, key: Key, traffic: Traffic, view: _View) -> None:
        """What may follow once the weight is in force: exact sides, and the listener."""
        sides = {role: _side(traffic, role) for role in ROLES}
        if view.sides != sides:
            self._put_sides(key, sides)
        if view.port != traffic.port:
            # Envoy takes listeners away before it adds others, and passes their socket on: no request finds it closed.
            handed_over: dict[str, Any] = dict.fromkeys(self._siblings(str(key), traffic.port))
            self._files.put(LISTENERS, {**handed_over, str(key): config.listener(key, self._listen, traffic.port)})
        view = self._await(key, lambda now: now.sides == sides and (now.port == traffic.port or bool(now.port_error)))
        if view.port != traffic.port and view.port_error:
            raise TransientError(_port_words(traffic.port, view.port_error))

    def _remove(self, key: Key) -> None:
        self._files.put(LISTENERS, {str(key): None})
        self._await(key, lambda now: now.port is None)
        self._files.put(CLUSTERS, {key.side(role): None for role in ROLES})
        self._files.put(WEIGHTS, {str(key): None})

    def _put_sides(self, key: Key, sides: dict[str, Backend | None]) -> None:
        self._files.put(CLUSTERS, {key.side(role): config.cluster(key, role, side) for role, side in sides.items()})

    def _check(self, key: Key, traffic: Traffic) -> None:
        """Refuse what cannot be. Raises TerminalError, and TransientError for a port of another key."""
        if not 0 <= traffic.weight <= FULL_WEIGHT:
            raise TerminalError(f"{key}: weight {traffic.weight} is not within 0 and {FULL_WEIGHT}")
        shares = {"stable": FULL_WEIGHT - traffic.weight, "canary": traffic.weight}
        for role, share in shares.items():
            if share and _side(traffic, role) is None:
                raise TerminalError(f"{key}: {share / 100:g} % of the requests would go to {role}, which is not there")
        self._claim(str(key), traffic.port)

    def _siblings(self, name: str, port: int) -> list[str]:
        """Other listeners of the same environment that have the port: it changes hands between its components."""
        unit, _ = owner(Key.parse(name))
        held = {one: config.read_port(listener) for one, listener in self._files.entries(LISTENERS).items()}
        return [one for one in held if held[one] == port and one != name and owner(Key.parse(one))[0] == unit]

    def _claim(self, name: str, port: int) -> None:
        """Go on only with a port that no other environment holds. Raises TransientError: that one may be about to move.

        When that one, or one further on, waits for the port that this key leaves, nobody could ever move: leave it first.
        """
        held = {one: config.read_port(listener) for one, listener in self._files.entries(LISTENERS).items()}
        owners = {number: one for one, number in held.items() if one != name}
        if port not in owners or self._siblings(name, port):
            self._claims.pop(name, None)
            return
        now, mine, other = self._clock.now(), held.get(name), owners.get(port)
        self._claims[name] = (port, now)
        for _ in held:
            wanted, asked = self._claims.get(other or "", (None, now))
            if wanted is None or now.since(asked) > CLAIM_LASTS:
                break
            if wanted == mine:
                self._files.put(LISTENERS, {name: None})
                break
            other = owners.get(wanted)
        raise TransientError(f"port {port} of {name} belongs to {owners[port]}; give one of them another port")

    def _await(self, key: Key, done: Callable[[_View], bool]) -> _View:
        """Look until it is done, or for about 0.2 s: what is not done then is for the next call."""
        view = self._view(key)
        for _ in range(LOOKS):
            if done(view):
                break
            select.select([], [], [], LOOK_EVERY)
            view = self._view(key)
        return view

    def _view(self, key: Key) -> _View:
        listeners = self._dump("dynamic_listeners", str(key))
        clusters = self._dump("dynamic_active_clusters", f"{key}/({'|'.join(ROLES)})")
        found = {one["cluster"]["name"]: config.read_backend(one["cluster"]) for one in clusters}
        state = listeners[0] if listeners else {}
        active = state.get("active_state")
        return _View(
            port=config.read_port(active["listener"]) if active else None,
            port_error=state.get("error_state", {}).get("details", ""),
            weight=self._weight(key),
            sides={role: found.get(key.side(role)) for role in ROLES},
        )

    def _weight(self, key: Key) -> int:
        entry = self._envoy.ask("runtime")["entries"].get(str(key))
        try:
            return config.read_weight(entry["final_value"]) if entry else 0
        except ValueError as error:
            raise TransientError(f"{key}: {error}") from error

    def _dump(self, resource: str, name: str) -> list[Any]:
        found = self._envoy.ask("config_dump", resource=resource, name_regex=name)
        return list(found.get("configs", []))


def _side(traffic: Traffic, role: str) -> Backend | None:
    return traffic.canary if role == "canary" else traffic.stable


def _busy(view: _View, role: str) -> Backend | None:
    """What is on a side that still gets requests, and so has to stay for now."""
    return view.sides[role] if view.port is not None and view.share(role) else None


def _fit(view: _View, traffic: Traffic) -> bool:
    """Whether each side that is to get requests can take them: the right release, at an endpoint that is still right."""
    shares = {"stable": FULL_WEIGHT - traffic.weight, "canary": traffic.weight}
    for role in (role for role in ROLES if shares[role]):
        wanted, found = _side(traffic, role), view.sides[role]
        if wanted is None or found is None or found.digest != wanted.digest:
            return False
        if wanted.endpoints and not set(wanted.endpoints) & set(found.endpoints):
            return False
    return True


def _port_words(port: int, details: str) -> str:
    if "Address already in use" in details:
        return f"port {port} is taken by another program: stop that, or give the environment another port"
    return f"Envoy cannot serve port {port}: {details}"


KIND = RouterKind(name="envoy", open=EnvoyRouter)
