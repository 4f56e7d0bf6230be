"""What the API needs of the daemon. Every call may block shortly, and is made from several threads."""

from __future__ import annotations

from typing import Protocol

from reconciler.core.desired import Key
from reconciler.core.state import Verb
from reconciler.core.view import EnvironmentView
from reconciler.ports import Store

__all__ = ["Application", "EnvironmentView"]


class Application(Protocol):
    """The daemon, as the API sees it."""

    @property
    def store(self) -> Store:
        """What is remembered."""
        ...

    def listed(self) -> tuple[Key, ...]:
        """Every key that a manifest asks for or that has a state, in any order. Those that are retired are left out."""
        ...

    def environment(self, key: Key) -> EnvironmentView | None:
        """One key, retired or not; None when neither a manifest nor the store knows it."""
        ...

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the config repo and with its manifests, whether or not they name a key; a sentence each."""
        ...

    def submit(self, key: Key, verb: Verb, who: str, reason: str, until: float | None) -> int:
        """Store a request, have the key looked at, and return the request's id. ``until`` is in Unix seconds."""
        ...

    def replay(self, letter: int) -> bool:
        """Have a dead letter tried again now; False when there is none of that id."""
        ...
