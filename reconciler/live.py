"""What the daemon knows right now, for those who ask: the API, the metrics, the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from reconciler.catalog import Catalog
from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.state import KeyState, Request, Verb, retired
from reconciler.core.view import EnvironmentView, at_rest
from reconciler.core.waiting import Waiting
from reconciler.ports import Clock, Store
from reconciler.reconcile import Look


@dataclass(slots=True)
class Live:
    """Implements ``api.Application``: the last look at every key, over what is remembered of those not looked at yet.

    Of a look only what the store does not have is kept: what is asked of one key is read when somebody asks.
    """

    store: Store
    catalog: Catalog
    clock: Clock
    wake: Callable[[Key], None]
    tell: Callable[[], None]
    """Says that there are events to deliver."""
    views: dict[Key, EnvironmentView] = field(default_factory=dict)
    errors: dict[Key, Exception] = field(default_factory=dict)
    """Why the last look at a key came to no decision."""
    stored: dict[Key, bool | None] = field(init=False)
    """Every key with a state, and whether it is retired; None when nobody has asked yet."""

    def __post_init__(self) -> None:
        self.stored = dict.fromkeys(self.store.keys())

    def saw(self, look: Look) -> EnvironmentView:
        """Remember what a look came to; returns what is kept of it."""
        state = look.decision.state
        view = EnvironmentView(
            key=state.key,
            desired=look.inputs.desired,
            state=state,
            observed=look.inputs.observed,
            analysis=look.decision.analysis,
            problem=look.inputs.problem,
            waiting=(*_trouble(look.trouble), *look.decision.waiting),
        )
        kept = at_rest(view)
        self.views[kept.key] = kept
        self.stored[kept.key] = retired(state)
        self.errors.pop(kept.key, None)
        return kept

    def undecided(self, key: Key, error: Exception) -> None:
        """Remember why a look came to no decision; what was seen before stays."""
        self.errors[key] = error

    def forget(self, key: Key) -> None:
        """Drop what was seen of a key that nobody names any more."""
        self.views.pop(key, None)
        self.errors.pop(key, None)

    def knows(self, key: Key) -> bool:
        """Whether a manifest names or named a key, or it has a state."""
        return key in self.stored or self.catalog.knows(key)

    def listed(self) -> tuple[Key, ...]:
        """See ``api.Application``."""
        asked = self.catalog.known()
        return (*asked, *(key for key in tuple(self.stored) if key not in asked and not self._retired(key)))

    def _retired(self, key: Key) -> bool:
        found = self.stored[key]
        if found is None:
            try:
                found = retired(self.store.load(key))
            except TerminalError:  # it is shown, with the reason
                found = False
            self.stored[key] = found
        return found

    def environment(self, key: Key) -> EnvironmentView | None:
        """See ``api.Application``."""
        view = self._view(key)
        if view is None:
            return None
        error, away = self.errors.get(key), self.catalog.away(key)
        before = _trouble(error)
        after = (Waiting("ConfigRepo", away, "whoever runs that repo", None, None),) if away else ()
        return replace(view, waiting=(*before, *view.waiting, *after)) if before or after else view

    def _view(self, key: Key) -> EnvironmentView | None:
        view = self.views.get(key)
        if view is None and not self.knows(key):
            return None
        try:
            state = self.store.load(key)
        except TerminalError as error:  # one state that cannot be read must not hide all the others
            return EnvironmentView(key, None, view.state if view else KeyState(key), None, problem=str(error))
        if view is not None:
            return replace(view, state=state)
        desired, problem = self.catalog.desired(key)
        return EnvironmentView(key=key, desired=desired, state=state, observed=None, problem=problem)

    def problems(self) -> tuple[str, ...]:
        """See ``api.Application``."""
        away = self.catalog.away()
        return (*((away,) if away else ()), *map(str, self.catalog.problems()))

    def submit(self, key: Key, verb: Verb, who: str, reason: str, until: float | None) -> int:
        """See ``api.Application``."""
        request = self._bound(key, Request(0, verb, who, reason, self.clock.now().wall, until))
        number = self.store.submit(key, request)
        if verb is Verb.SYNC:
            self.catalog.poll_config()
            self.catalog.poll_sources()
        self.wake(key)
        return number

    def _bound(self, key: Key, request: Request) -> Request:
        """The request, for the attempt and step that whoever asks can see: what comes later was not meant."""
        if request.verb not in {Verb.PROMOTE, Verb.ABORT}:
            return request
        view = self.views.get(key)
        rollout = view.state.rollout if view else self.store.load(key).rollout
        return request if rollout is None else replace(request, attempt=rollout.attempt, step=rollout.step)

    def replay(self, letter: int) -> bool:
        """See ``api.Application``."""
        found = self.store.replay(letter)
        if found:
            self.tell()
        return found

    def after(self, key: Key) -> tuple[Key, ...]:
        """Keys that wait for this one: later environments of its project, and projects that depend on it."""
        return self.catalog.dependants(key)


def _trouble(error: Exception | None) -> tuple[Waiting, ...]:
    if error is None:
        return ()
    expected = isinstance(error, (TransientError, TerminalError))
    who = "whoever mends that" if isinstance(error, TerminalError) else "nobody: it is tried again"
    return (Waiting("Trouble", str(error) if expected else f"unexpected error: {error!r}", who, None, None),)
