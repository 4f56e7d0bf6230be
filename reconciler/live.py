"""What the daemon knows right now, for those who ask: the API, the metrics, the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.catalog import Catalog
from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.state import KeyState, Request, Verb
from reconciler.core.view import EnvironmentView
from reconciler.core.waiting import Waiting
from reconciler.ports import Clock, Store
from reconciler.reconcile import Look


@dataclass(slots=True)
class Live:
    """Implements ``api.Application``: the last look at every key, over what is remembered of those not looked at yet."""

    store: Store
    catalog: Catalog
    clock: Clock
    wake: Callable[[Key], None]
    tell: Callable[[], None]
    """Says that there are events to deliver."""
    views: dict[Key, EnvironmentView] = field(default_factory=dict)
    errors: dict[Key, Exception] = field(default_factory=dict)
    """Why the last look at a key came to no decision."""

    def saw(self, look: Look) -> EnvironmentView:
        """Remember what a look came to."""
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
        self.views[state.key] = view
        self.errors.pop(state.key, None)
        return view

    def undecided(self, key: Key, error: Exception) -> None:
        """Remember why a look came to no decision; what was seen before stays."""
        self.errors[key] = error

    def forget(self, key: Key) -> None:
        """Drop what was seen of a key that nobody names any more."""
        self.views.pop(key, None)
        self.errors.pop(key, None)

    def known(self) -> frozenset[Key]:
        """Every key that a manifest asks for or that has a state."""
        return self.catalog.known() | frozenset(self.store.keys())

    def environments(self) -> tuple[EnvironmentView, ...]:
        """See ``api.Application``."""
        return tuple(view for key in sorted(self.known()) if (view := self.environment(key)) is not None)

    def environment(self, key: Key) -> EnvironmentView | None:
        """See ``api.Application``."""
        view = self.views.get(key) or self._remembered(key)
        if view is None:
            return None
        error, away = self.errors.get(key), self.catalog.away()
        before = _trouble(error)
        after = (Waiting("ConfigRepo", away, "whoever runs that repo", None, None),) if away else ()
        return replace(view, waiting=(*before, *view.waiting, *after)) if before or after else view

    def problems(self) -> tuple[str, ...]:
        """See ``api.Application``."""
        away = self.catalog.away()
        return (*((away,) if away else ()), *map(str, self.catalog.problems()))

    def _remembered(self, key: Key) -> EnvironmentView | None:
        try:
            state = self.store.load(key)
        except TerminalError as error:  # one state that cannot be read must not hide all the others
            return EnvironmentView(key, None, KeyState(key), None, problem=str(error))
        if state.revision == 0 and key not in self.catalog.known():
            return None
        desired, problem = self.catalog.desired(key)
        return EnvironmentView(key=key, desired=desired, state=state, observed=None, problem=problem)

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
        """Keys of the same project that wait for this environment."""
        snapshot = self.catalog.snapshot
        wanted: Mapping[Key, object] = snapshot.desired if snapshot else {}
        return tuple(
            other
            for other, desired in wanted.items()
            if (other.workspace, other.project) == (key.workspace, key.project)
            and getattr(desired, "after", None) == key.environment
        )


def _trouble(error: Exception | None) -> tuple[Waiting, ...]:
    if error is None:
        return ()
    expected = isinstance(error, (TransientError, TerminalError))
    who = "whoever mends that" if isinstance(error, TerminalError) else "nobody: it is tried again"
    return (Waiting("Trouble", str(error) if expected else f"unexpected error: {error!r}", who, None, None),)
