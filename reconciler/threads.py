"""The threads of one daemon: the first one that fails ends all of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.core.outcome import TerminalError
from reconciler.ports import Clock

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Threads:
    """Runs pieces of work beside each other; ``stop`` is set when one of them fails."""

    stop: threading.Event
    failure: BaseException | None = None
    started: list[threading.Thread] = field(default_factory=list)

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread of that name."""

        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self.failure = error
                expected = isinstance(error, TerminalError)  # such as a port that is taken: its sentence says all
                log.error("the thread %s ended; stopping: %s", name, error, exc_info=not expected)  # noqa: TRY400
                self.stop.set()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self.started.append(thread)
        thread.start()

    def serve(self, servers: dict[str, Callable[[Callable[[str], None]], None]]) -> dict[str, str]:
        """Run servers, each told how to say where it listens, and return where. Raises what makes one of them fail."""
        addresses: dict[str, str] = {}
        said = {name: threading.Event() for name in servers}

        def ready(name: str) -> Callable[[str], None]:
            def tell(address: str) -> None:
                addresses[name] = address
                said[name].set()

            return tell

        for name, serve in servers.items():
            self.start(name, lambda serve=serve, name=name: serve(ready(name)))  # type: ignore[misc]
        for name, event in said.items():
            while not event.wait(0.05):
                if self.failure is not None:
                    raise self.failure
                log.debug("waiting for %s", name)
        return addresses

    def join(self, seconds: float, clock: Clock) -> None:
        """Wait for all of them to end, so many seconds in all."""
        deadline = clock.now().mono + seconds
        for thread in self.started:
            thread.join(max(0.0, deadline - clock.now().mono))
        late = [thread.name for thread in self.started if thread.is_alive()]
        if late:
            log.warning("did not end in time: %s", ", ".join(late))
