"""What git asks for, as a table that a test changes."""

from __future__ import annotations

from reconciler.core.desired import DesiredState, Key


class FakeDesires:
    """``wanted`` and ``problems`` are by key."""

    def __init__(self) -> None:
        self.wanted: dict[Key, DesiredState | None] = {}
        self.problems: dict[Key, str] = {}

    def commit(self, desired: DesiredState) -> None:
        """Make a desired state the newest one of its key."""
        self.wanted[desired.key] = desired
        self.problems.pop(desired.key, None)

    def desired(self, key: Key) -> tuple[DesiredState | None, str]:
        return self.wanted.get(key), self.problems.get(key, "")
