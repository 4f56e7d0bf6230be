"""What one environment's state says to those that come after it, and to those that depend on it."""

from __future__ import annotations

from reconciler.core.components import version_of
from reconciler.core.desired import DesiredState, Key
from reconciler.core.digest import release_digest, revision_of
from reconciler.core.gate import Dependency, Predecessor
from reconciler.core.state import KeyState, RolloutKind


def predecessor(before: KeyState) -> Predecessor:
    """What an environment has certified, for those that come after it."""
    serving = before.stable if before.certified else None
    barred = {row.digest for row in before.quarantined}
    leaving = before.rollout is not None and before.rollout.kind is RolloutKind.ROLLBACK
    if serving is None or leaving or serving.digest in barred:
        return Predecessor(before.key.environment, None)
    return Predecessor(before.key.environment, revision_of(serving.desired))


def dependency(key: Key, desired: DesiredState | None, problem: str, state: KeyState) -> Dependency:
    """How a key is that others depend on; ``desired`` is what git asks of it, and ``problem`` why it asks for nothing."""
    if desired is None:
        return Dependency(key, "", "", "", moving=False, barred=False, problem=problem)
    digest = release_digest(desired)
    certified = next((one.digest for one in state.certified if state.stable and one.digest == state.stable.digest), "")
    return Dependency(
        key=key,
        version=version_of(desired),
        digest=digest,
        certified=certified,
        moving=state.rollout is not None,
        barred=any(row.digest == digest for row in state.quarantined),
    )
