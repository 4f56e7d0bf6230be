"""The composition root: the only place that knows all parts. It owns the threads, the signals and the timer."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from apscheduler.events import EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from reconciler import __version__
from reconciler.adapters import Adapters
from reconciler.api.http import Pages, serve_http
from reconciler.api.server import ApiSettings, serve
from reconciler.catalog import Catalog
from reconciler.clock import SystemClock, jitter
from reconciler.controller import Controller
from reconciler.core.outcome import TerminalError
from reconciler.core.state import Key
from reconciler.live import Live
from reconciler.log import configure_logging
from reconciler.outbox import Outbox
from reconciler.reconcile import Look, Ports, kept
from reconciler.settings import Settings
from reconciler.source.credentials import read_credentials
from reconciler.source.git import Mirrors
from reconciler.store import open_store
from reconciler.telemetry import Telemetry
from reconciler.workqueue import WorkQueue

log = logging.getLogger("reconciler.daemon")

FETCHERS = 3
"""Threads that wait for remotes."""
LOOK_FOR_EVENTS = 30.0
"""Most seconds until undelivered events are looked for; new ones are told of at once."""
STOP_SECONDS = 4.0
"""What all threads together get to end; five seconds are promised."""
TICKS_KEPT = 2 * 3600.0
"""Seconds that readings outside of rollouts, and delivered events, are kept."""


class Daemon:
    """One daemon on one data directory."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stop = threading.Event()
        self.clock = SystemClock()
        self.telemetry = Telemetry(__version__)
        self.threads: list[threading.Thread] = []
        self.addresses: dict[str, str] = {}
        self.ready = False
        self.failure: BaseException | None = None
        self.news: dict[str, threading.Event] = {}

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; returns the exit code. Raises TerminalError when it cannot start."""
        settings = self.settings
        json_lines = {"auto": None, "plain": False, "json": True}[settings.log_format]
        configure_logging(settings.log_level, json_lines=json_lines)
        with exclusive(settings.data_dir):
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stop.set())
            self._build()
            try:
                self._start()
                self.stop.wait()
                log.info("stopping; instances and router go on serving")
            finally:
                self._shutdown()
        return 0 if self.failure is None else 1

    # --- parts -------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        settings, data, clock = self.settings, self.settings.data_dir, self.clock
        mirrors = Mirrors(data / "mirrors", read_credentials(settings.credentials))
        self.adapters = Adapters(settings, clock, mirrors)
        self.notifiers = self.adapters.notifiers()
        self.store = open_store(data / "prodsprint.db", tuple(self.notifiers))
        self.outbox = Outbox(self.store, self.notifiers, clock)
        self.news = {lane: threading.Event() for lane in self.outbox.lanes}
        self.queue: WorkQueue[Key] = WorkQueue(lambda: clock.now().mono)
        self.fetches: WorkQueue[str] = WorkQueue(lambda: clock.now().mono)
        self.catalog = Catalog(
            mirrors, settings.config_repo, settings.branch, clock, self.fetches, self._wake_all, self._fetched, jitter
        )
        self.live = Live(self.store, self.catalog, clock, self.queue.add, self._tell)
        targets, routers, metrics = self.adapters.targets, self.adapters.routers, self.adapters.metrics
        ports = Ports(clock, self.store, self.catalog, targets, routers, metrics, self.telemetry.measured)
        self.controller = Controller(ports, self.queue, self._watch, jitter)

    def _fetched(self, url: str, result: str, seconds: float) -> None:
        self.telemetry.git(url, "fetch", result, seconds, self.clock.now().wall)

    def _wake_all(self, keys: frozenset[Key]) -> None:
        known = self.live.known()
        for key in keys:
            if key in known:
                self.queue.add(key)
            else:  # its manifest is gone, and nothing was ever released to it
                self.live.forget(key)
                self.telemetry.forget(key)

    def _watch(self, key: Key, look: Look | None, result: str, seconds: float) -> None:
        self.telemetry.reconciled(seconds, result)
        if look is None:
            return
        self.telemetry.environment(self.live.saw(look))
        if not look.decision.changed:
            return
        self._tell()
        before, state = look.inputs.state, look.decision.state
        if before.certified != state.certified or (before.rollout and not state.rollout):
            self._settled(key, look)

    def _settled(self, key: Key, look: Look) -> None:
        state = look.decision.state
        if state.history and state.history[:1] != look.inputs.state.history[:1]:
            self.telemetry.rollout_ended(key, state.history[0])
        if state.stable is not None:
            self.adapters.targets(state.stable.desired.target).keep(key, kept(state))
        for other in self.live.after(key):
            self.queue.add(other)

    # --- life --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.catalog.compile()
        self._wake_all(self.live.known())
        self._serve()
        for number in range(self.settings.workers):
            self._thread(f"worker-{number}", self.controller.run)
        for number in range(FETCHERS):
            self._thread(f"fetch-{number}", self.catalog.run)
        for lane in self.outbox.lanes:
            self._thread(f"outbox-{lane}", partial(self._deliver, lane))
        self._schedule()
        self.catalog.poll_config()
        self._announce()
        self.ready = True
        log.info(
            "prodsprint %s is ready: gRPC on %s, metrics on http://%s/metrics, data in %s",
            __version__, self.addresses["grpc"], self.addresses["http"], self.settings.data_dir,
        )  # fmt: skip

    def _announce(self) -> None:
        """Say where the daemon can be reached: whole or not at all, since others wait for the file."""
        file = self.settings.data_dir / "daemon.json"
        new = file.with_suffix(".new")
        new.write_text(json.dumps({"pid": os.getpid(), "version": __version__, **self.addresses}), encoding="utf-8")
        new.replace(file)

    def _thread(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self.failure = error
                expected = isinstance(error, TerminalError)  # such as a port that is taken: its sentence says all
                log.error("the thread %s ended; stopping: %s", name, error, exc_info=not expected)  # noqa: TRY400
                self.stop.set()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _deliver(self, lane: str) -> None:
        """Deliver the events of one notifier; a slow one has a thread of its own to wait on."""
        news = self.news[lane]
        while not self.stop.is_set():
            news.clear()
            wait = self.outbox.process(lane)
            news.wait(min(wait if wait is not None else LOOK_FOR_EVENTS, LOOK_FOR_EVENTS))

    def _tell(self) -> None:
        for news in self.news.values():
            news.set()

    def _serve(self) -> None:
        """Start both servers, and wait until each says where it listens."""
        settings, data = self.settings, self.settings.data_dir
        said = {"grpc": threading.Event(), "http": threading.Event()}

        def ready(name: str) -> Callable[[str], None]:
            def tell(address: str) -> None:
                self.addresses[name] = address
                said[name].set()

            return tell

        api = ApiSettings(settings.grpc, data / "token", settings.tls_cert, settings.tls_key)
        pages = Pages(self.telemetry.registry, self._unready)
        self._thread("grpc", lambda: serve(self.live, api, self.clock, ready("grpc"), self.stop, self.telemetry.called))
        self._thread("http", lambda: serve_http(pages, settings.http, ready("http"), self.stop))
        for name, event in said.items():
            while not event.wait(0.05):
                if self.failure is not None:
                    raise self.failure
                log.debug("waiting for %s", name)

    def _unready(self) -> tuple[str, ...]:
        return () if self.ready and self.failure is None else ("the daemon is starting, or a part of it has failed",)

    def _schedule(self) -> None:
        """The timer: it only puts names into queues, and never works itself."""
        self.timer = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        settings = self.settings
        every = (
            (self.catalog.poll_config, settings.poll),
            (self.catalog.poll_sources, settings.source_poll),
            (self.store.flush, 1.0),
            (self._measure, 5.0),
            (self._tidy, 600.0),
        )
        for job, seconds in every:
            self.timer.add_job(job, "interval", seconds=seconds, jitter=seconds * 0.1)
        self.timer.add_listener(self._timed, EVENT_JOB_SUBMITTED)
        self.timer.start()

    def _timed(self, event: JobSubmissionEvent) -> None:
        self.telemetry.lag(max(0.0, self.clock.now().wall - event.scheduled_run_times[-1].timestamp()))

    def _measure(self) -> None:
        for name, queue in (("keys", self.queue), ("repos", self.fetches)):
            self.telemetry.queue(*queue.depth(), name)
        self.telemetry.audited(self.store.head())
        self.telemetry.outbox(*self.store.backlog())

    def _tidy(self) -> None:
        self.store.prune(self.clock.now().wall - TICKS_KEPT)

    def _shutdown(self) -> None:
        """Let everything end what it is doing; what is left undone is resumed by the next daemon."""
        self.stop.set()
        self._tell()
        self.queue.close()
        self.fetches.close()
        if hasattr(self, "timer"):
            self.timer.shutdown(wait=False)
        deadline = self.clock.now().mono + STOP_SECONDS
        for thread in self.threads:
            thread.join(max(0.0, deadline - self.clock.now().mono))
        late = [thread.name for thread in self.threads if thread.is_alive()]
        if late:
            log.warning("did not end in time: %s", ", ".join(late))
        self.adapters.close()
        for notifier in self.notifiers.values():
            notifier.close()
        self.store.close()
        (self.settings.data_dir / "daemon.json").unlink(missing_ok=True)


@contextmanager
def exclusive(data: Path) -> Iterator[None]:
    """Hold the data directory against other daemons. Raises TerminalError when one has it, or it cannot be used."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise TerminalError(f"the data directory {data} cannot be used: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise TerminalError(
                f"another daemon (process {holder}) works on {data}: stop it, or give this one its own --data-dir"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
