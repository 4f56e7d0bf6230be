"""What one decision is made from, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from reconciler.core.analysis import Analysis, Progress
from reconciler.core.desired import DesiredState, Instant, Tombstone
from reconciler.core.digest import canonical
from reconciler.core.gate import Dependency, Predecessor
from reconciler.core.observed import ControlHistory, Observed, Tick
from reconciler.core.outcome import Outcome
from reconciler.core.plan import Due
from reconciler.core.state import Answer, KeyState, Record, Request
from reconciler.core.waiting import Waiting

DAEMON = "daemon"
"""The actor of what nobody asked for by hand."""
RESYNC = 10.0
"""Least seconds between two looks at a key that nothing happens to."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a decision may use."""

    now: Instant
    state: KeyState
    desired: DesiredState | None
    problem: str
    """Why ``desired`` is missing or not the newest; empty when all is well."""
    observed: Observed
    ticks: tuple[Tick, ...] = ()
    """All ticks of the attempt in progress, oldest first, the one taken by this look included."""
    control: ControlHistory = field(default_factory=ControlHistory)
    requests: tuple[Request, ...] = ()
    predecessors: tuple[Predecessor, ...] = ()
    """What the environments that come before have certified. Read only when a release may begin."""
    dependencies: tuple[Dependency, ...] = ()
    """How the environments of other projects are that this one needs. Read only when a release may begin."""
    tombstone: Tombstone | None = None
    """Set when the manifest was removed; ``desired`` is None then. Without it, nobody knows that it was."""
    resync: float = RESYNC
    """Seconds between two looks at a key that nothing happens to: what so many keys can afford."""
    progress: Progress | None = field(default=None, compare=False, repr=False)
    """What earlier looks have made of these ticks; saves time, and changes nothing."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: the state to commit (if ``changed``), then the actions that may be done, then when to look again."""

    state: KeyState
    changed: bool
    due: Due
    outcome: Outcome
    records: tuple[Record, ...] = ()
    answers: tuple[Answer, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    analysis: Analysis | None = None


@dataclass(slots=True)
class Draft:
    """A decision in the making: the next state and what has been said so far. Lives only within ``decide``."""

    inputs: Inputs
    state: KeyState
    records: list[Record] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    analysis: Analysis | None = None

    @property
    def unasked(self) -> bool:
        """Whether it is certain that git asks nothing of this key: nothing is destroyed on a guess."""
        return self.inputs.desired is None and not self.inputs.problem

    @property
    def now(self) -> Instant:
        """The time of this decision."""
        return self.inputs.now

    def say(self, kind: str, message: str, actor: str = DAEMON, **body: object) -> None:
        """Leave a record."""
        self.records.append(Record(kind, actor, message, canonical(body)))

    def wait(self, condition: str, message: str, who: str, deadline: float | None = None) -> None:
        """Note what the key waits for; ``decide`` fills in when it is looked at next."""
        self.waiting.append(Waiting(condition, message, who, deadline, None))

    def answer(self, request: Request, message: str, *, accepted: bool) -> None:
        """Decide on a request, and leave a record of it."""
        self.answers.append(Answer(request.id, accepted, message))
        kind = f"request.{request.verb}.{'accepted' if accepted else 'refused'}"
        self.say(kind, message, request.who, reason=request.reason, request=request.id)

    def change(self, **fields: object) -> None:
        """Replace fields of the state."""
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]  # names are checked by replace itself
