"""One key as people see it: what is desired, observed and remembered, and the two words that sum it up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.core import condition
from reconciler.core.analysis import Analysis
from reconciler.core.desired import DesiredState, Key, Release
from reconciler.core.digest import release_digest
from reconciler.core.observed import Instance, InstanceStatus, Observed
from reconciler.core.plan import observed_weight
from reconciler.core.retire import ending
from reconciler.core.state import ConditionStatus, ConditionType, KeyState, Phase, Quarantine
from reconciler.core.trouble import Trouble, brief, kind, place, told
from reconciler.core.waiting import Waiting


class SyncStatus(StrEnum):
    """Whether the key is where git asks it to be."""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"


class HealthStatus(StrEnum):
    """How what runs is doing."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    MISSING = "Missing"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """One key at its last look."""

    key: Key
    desired: DesiredState | None
    state: KeyState
    observed: Observed | None
    """None until the first look."""
    analysis: Analysis | None = None
    """None outside of a rollout."""
    problem: str = ""
    """What is wrong with the manifest; empty when nothing is."""
    waiting: tuple[Waiting, ...] = ()

    @property
    def desired_digest(self) -> str:
        """Digest of git's release; empty while no valid manifest asks for one."""
        return release_digest(self.desired) if self.desired else ""

    @property
    def quarantine(self) -> Quarantine | None:
        """Why git's release will not be rolled out; None when nothing bars it."""
        digest = self.desired_digest
        return next((one for one in self.state.quarantined if one.digest == digest), None)

    @property
    def serving(self) -> tuple[Instance, ...]:
        """Instances of the stable release that are not being stopped."""
        stable = self.state.stable
        instances = self.observed.instances if self.observed else ()
        return tuple(
            one for one in instances if stable and one.digest == stable.digest and one.status != InstanceStatus.STOPPING
        )

    @property
    def sync(self) -> SyncStatus:
        """Synced only when observation shows git's release alone, in full, with all of the traffic."""
        if self.desired is None or self.observed is None or self.observed.error:
            return SyncStatus.UNKNOWN
        stable = self.state.stable
        if self.state.rollout or stable is None or stable.digest != self.desired_digest:
            return SyncStatus.OUT_OF_SYNC
        drifted = condition.find(self.state.conditions, ConditionType.DRIFTED)
        if drifted is not None and drifted.status is ConditionStatus.TRUE:
            return SyncStatus.OUT_OF_SYNC
        whole = len(self.serving) == self.desired.instances and self._routed_to(stable.digest)
        return SyncStatus.SYNCED if whole else SyncStatus.OUT_OF_SYNC

    def _routed_to(self, digest: str) -> bool:
        traffic = self.observed.traffic if self.observed else None
        return bool(traffic and traffic.stable and traffic.stable.digest == digest and not traffic.weight)

    @property
    def health(self) -> HealthStatus:
        """A rollout is Progressing, one that waits for a person Suspended; on the way back it is what serves that counts."""
        if self.observed is None or self.observed.error:
            return HealthStatus.UNKNOWN
        rollout = self.state.rollout
        if rollout is None:
            return self._serving_health()
        if rollout.phase is Phase.ROLLING_BACK:
            serving = self._serving_health()
            return HealthStatus.PROGRESSING if serving is HealthStatus.HEALTHY else serving
        waits = rollout.held is not None or self.state.pause is not None
        return HealthStatus.SUSPENDED if waits else HealthStatus.PROGRESSING

    def _serving_health(self) -> HealthStatus:
        statuses = {one.status for one in self.serving}
        if not statuses:
            return HealthStatus.MISSING
        says = condition.find(self.state.conditions, ConditionType.HEALTHY)
        if says is not None and says.status is ConditionStatus.FALSE:
            return HealthStatus.DEGRADED
        if statuses == {InstanceStatus.READY}:
            return HealthStatus.HEALTHY
        starting = statuses <= {InstanceStatus.READY, InstanceStatus.PREPARING, InstanceStatus.STARTING}
        return HealthStatus.PROGRESSING if starting else HealthStatus.DEGRADED

    @property
    def weight(self) -> int:
        """Observed share of the canary in the traffic, in hundredths of a percent."""
        return observed_weight(self.observed.traffic if self.observed else None)


def at_rest(view: EnvironmentView) -> EnvironmentView:
    """What is kept of a view between two looks at one of many keys: not what the store can be asked for.

    A state without the releases that could be gone back to, plan and history; and what git asks for is not held twice.
    """
    stable, desired = view.state.stable, view.desired
    if stable is not None and stable.desired == desired:
        stable = Release(stable.digest, desired)
    state = replace(view.state, stable=stable, certified=(), plan=None, history=())
    return replace(view, key=desired.key if desired else view.key, state=state)


def summary(view: EnvironmentView) -> str:
    """One sentence on why the key is not where git asks it to be, or that it is."""
    if view.waiting:
        return view.waiting[0].message
    if view.problem:
        # Without a desired state it may be that nobody has read the manifest yet.
        sound = kind(view.problem) is not Trouble.MANIFEST or not place(view.problem)
        return told(view.problem) if sound else f"the manifest is not valid: {view.problem}"
    if view.desired is None and view.state.retirement is not None:
        return ending(view.state.retirement)
    if view.quarantine is not None:
        return f"git asks for a release that was rolled back before: {view.quarantine.reason}"
    return f"nothing is waited for: {view.sync}, {view.health}"


def waiting_for(view: EnvironmentView) -> str:
    """What is waited for first, in few words; empty when nothing is."""
    if not view.waiting:
        return ""
    first = view.waiting[0]
    return brief(view.problem) if view.problem and first.condition in set(Trouble) else first.message
