"""What git asks for, as a table that a test changes."""

from __future__ import annotations

from reconciler.core.desired import DesiredState, Key, Tombstone


class FakeDesires:
    """``wanted`` and ``problems`` are by key."""

    def __init__(self) -> None:
        self.wanted: dict[Key, DesiredState | None] = {}
        self.problems: dict[Key, str] = {}
        self.tombstones: dict[Key, Tombstone] = {}

    def commit(self, desired: DesiredState) -> None:
        """Make a desired state the newest one of its key."""
        self.wanted[desired.key] = desired
        self.problems.pop(desired.key, None)
        self.tombstones.pop(desired.key, None)

    def remove(self, key: Key, commit: str = "d" * 40) -> None:
        """Remove the manifest of a key."""
        desired = self.wanted.pop(key, None)
        if desired is not None:
            self.tombstones[key] = Tombstone(desired, commit)

    def desired(self, key: Key) -> tuple[DesiredState | None, str]:
        return self.wanted.get(key), self.problems.get(key, "")

    def tombstone(self, key: Key) -> Tombstone | None:
        return self.tombstones.get(key)
