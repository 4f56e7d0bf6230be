"""The composition root: the only place that knows all parts. It owns the threads, the signals and the timer."""

from __future__ import annotations

import json
import logging
import os
import select
import threading
from collections.abc import Callable
from functools import partial

from reconciler import __version__, components
from reconciler.adapters import Adapters
from reconciler.api.http import Pages, serve_http
from reconciler.api.server import ApiSettings, serve
from reconciler.api.webhooks import Hooks, serve_webhooks
from reconciler.catalog import COMPILE, Catalog
from reconciler.clock import SystemClock, jitter
from reconciler.config_repos import ConfigRepo
from reconciler.controller import Controller
from reconciler.core.desired import Key
from reconciler.core.state import retired
from reconciler.core.view import EnvironmentView
from reconciler.datadir import exclusive
from reconciler.live import Live
from reconciler.log import configure_logging
from reconciler.manifest.drafter import Drafter
from reconciler.outbox import Outbox
from reconciler.reconcile import Look, Ports, kept
from reconciler.settings import Settings
from reconciler.source.address import parse
from reconciler.source.config_file import read_config_repos
from reconciler.source.credentials import read_credentials
from reconciler.source.git import Mirrors
from reconciler.stopping import stop_signals
from reconciler.store import open_store
from reconciler.telemetry import Telemetry
from reconciler.threads import Threads
from reconciler.timer import Timer
from reconciler.workqueue import Lane, WorkQueue

log = logging.getLogger("reconciler.daemon")

CROWD = 100
"""Keys that one commit may change and still go before everything else: it must not hold up the next commit."""
FETCHERS = 3
"""Threads that wait for the remotes of services."""
FIRST = 2
"""Threads for the config repo and for compiling: one may wait for the remote while the other compiles."""
FAILURE_SEEN = 0.5
"""Most seconds until the failure of a thread begins to end the daemon; a signal does so at once."""
LOOK_FOR_EVENTS = 30.0
"""Most seconds until undelivered events are looked for; new ones are told of at once."""
STOP_SECONDS = 4.0
"""What all threads together get to end; five seconds are promised."""
TICKS_KEPT = 2 * 3600.0
"""Seconds that readings outside of rollouts, and delivered events, are kept."""


class Daemon:
    """One daemon on one data directory."""

    def __init__(self, settings: Settings, drafter: Drafter | None = None) -> None:
        self.settings = settings
        self.drafter = drafter or Drafter()
        self.stop = threading.Event()
        self.clock = SystemClock()
        self.telemetry = Telemetry(__version__)
        self.threads = Threads(self.stop)
        self.addresses: dict[str, str] = {}
        self.ready = False
        self.news: dict[str, threading.Event] = {}
        self.unkept: set[Key] = set()
        """Keys whose target could not be told yet which files have to stay."""

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; returns the exit code. Raises TerminalError when it cannot start."""
        settings = self.settings
        json_lines = {"auto": None, "plain": False, "json": True}[settings.log_format]
        configure_logging(settings.log_level, json_lines=json_lines)
        os.umask(0o077)  # the shims give it back to what they run
        with exclusive(settings.data_dir), stop_signals(self.stop) as signalled:
            self._build()
            try:
                self._start()
                while not self.stop.is_set():
                    select.select([signalled], [], [], FAILURE_SEEN)
                    self._check_clock()
                log.info("stopping; instances and router go on serving")
            finally:
                self._shutdown()
        return 0 if self.threads.failure is None else 1

    # --- parts -------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        settings, data, clock = self.settings, self.settings.data_dir, self.clock
        self.mirrors = Mirrors(data / "mirrors", read_credentials(settings.credentials))
        self.adapters = Adapters(settings, clock, self.mirrors)
        self.notifiers = self.adapters.notifiers()
        self.store = open_store(data / "prodsprint.db", tuple(self.notifiers))
        self.outbox = Outbox(self.store, self.notifiers, clock)
        self.news = {lane: threading.Event() for lane in self.outbox.lanes}
        # Half of the workers are free for what works, whatever does not.
        self.queue: WorkQueue[Key] = WorkQueue(lambda: clock.now().mono, max(1, settings.workers // 2))
        self.fetches: WorkQueue[str] = WorkQueue(lambda: clock.now().mono)
        repos = config_repos(settings)
        memory = self.store.config
        self.catalog = Catalog(
            self.mirrors, repos, memory, self.drafter, clock, self.fetches, self._wake_all, self._fetched, jitter
        )
        self.live = Live(self.store, self.catalog, clock, self.queue.add, self._tell)
        targets, routers, metrics = self.adapters.targets, self.adapters.routers, self.adapters.metrics
        ports = Ports(clock, self.store, self.catalog, targets, routers, metrics, self.telemetry.measured)
        self.controller = Controller(ports, self.queue, self._watch, jitter, self.live.undecided)

    def _fetched(self, url: str, result: str, seconds: float) -> None:
        self.telemetry.git(url, "fetch", result, seconds, self.clock.now().wall)

    def _wake_all(self, keys: frozenset[Key]) -> None:
        lane = Lane.NOW if len(keys) <= CROWD else Lane.MOVING
        for key in keys:
            if self.live.knows(key):
                self.queue.add(key, lane=lane)
            else:  # its manifest is gone, and nothing was ever released to it
                self.live.forget(key)
                self.telemetry.forget(key)

    def _watch(self, key: Key, look: Look | None, result: str, seconds: float) -> None:
        self.telemetry.reconciled(seconds, result)
        if look is None:
            return
        self._show(key, self.live.saw(look))
        if look.decision.changed:
            self._tell()
        if look.settled:
            self._settled(key, look)
        elif key in self.unkept:
            self._keep(key, look)

    def _show(self, key: Key, view: EnvironmentView) -> None:
        if retired(view.state):
            self.telemetry.forget(key)
        else:
            self.telemetry.environment(view)

    def _settled(self, key: Key, look: Look) -> None:
        state = look.decision.state
        if state.history and state.history[:1] != look.inputs.state.history[:1]:
            self.telemetry.rollout_ended(key, state.history[0])
        if look.retired:
            self.catalog.forget(key)
        for other in self.live.after(key):
            self.queue.add(other)
        self._keep(key, look)

    def _keep(self, key: Key, look: Look) -> None:
        """Let the target drop what is not needed any more. One that cannot do it now is asked at the next look."""
        state = look.decision.state
        last = state.stable or next(iter(state.certified), None)
        if last is None:
            return
        try:
            components.keep(self.adapters.targets(last.desired.target), look.inputs.state, state, kept(state))
        except Exception as error:  # noqa: BLE001  # old files are no reason to end anything
            if key not in self.unkept:
                log.warning("%s: old files stay for now: %s", key, error, extra={"key": str(key)})
            self.unkept.add(key)
        else:
            self.unkept.discard(key)

    # --- life --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._resume()
        for number in range(FIRST):
            self.threads.start(f"config-{number}", self.catalog.run_first)
        self.catalog.poll_config()
        self._serve()
        for number in range(self.settings.workers):
            self.threads.start(f"worker-{number}", self.controller.run)
        for number in range(FETCHERS):
            self.threads.start(f"fetch-{number}", self.catalog.run)
        for lane in self.outbox.lanes:
            self.threads.start(f"outbox-{lane}", partial(self._deliver, lane))
        self._schedule()
        self._announce()
        self.ready = True
        log.info(
            "prodsprint %s is ready: gRPC on %s, metrics on http://%s/metrics, data in %s",
            __version__, self.addresses["grpc"], self.addresses["http"], self.settings.data_dir,
        )  # fmt: skip

    def _resume(self) -> None:
        """Go on from what the last daemon has left."""
        self.catalog.restore()
        for key in self.catalog.tombstones():
            if retired(self.store.load(key)):  # by a daemon that ended before it could say so
                self.catalog.forget(key)
        delay = self.catalog.process(COMPILE)
        if delay is not None:
            self.catalog.add(COMPILE, delay)
        for key in self.live.listed():
            self.queue.add(key, lane=Lane.RESTING)

    def _announce(self) -> None:
        """Say where the daemon can be reached: whole or not at all, since others wait for the file."""
        file = self.settings.data_dir / "daemon.json"
        new = file.with_suffix(".new")
        new.write_text(json.dumps({"pid": os.getpid(), "version": __version__, **self.addresses}), encoding="utf-8")
        new.replace(file)

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
        """Start the servers, and wait until each says where it listens."""
        settings, data = self.settings, self.settings.data_dir
        api = ApiSettings(settings.grpc, data / "token", settings.tls_cert, settings.tls_key)
        pages = Pages(self.telemetry.registry, self._unready)
        servers: dict[str, Callable[[Callable[[str], None]], None]] = {
            "grpc": lambda ready: serve(self.live, api, self.clock, ready, self.stop, self.telemetry.called),
            "http": lambda ready: serve_http(pages, settings.http, ready, self.stop),
        }
        if settings.webhooks:
            hooks = Hooks(self.catalog.repos, self.catalog.add, self.clock, self.telemetry.webhook)
            servers["webhooks"] = lambda ready: serve_webhooks(hooks, settings.webhooks, ready, self.stop)
        self.addresses = self.threads.serve(servers)

    def _unready(self) -> tuple[str, ...]:
        well = self.ready and self.threads.failure is None
        return () if well else ("the daemon is starting, or a part of it has failed",)

    def _schedule(self) -> None:
        """The timer: it only puts names into queues, and never works itself."""
        self.timer = Timer(self.clock, self.telemetry.lag)
        settings = self.settings
        every = (
            (self.catalog.poll_config, settings.poll),
            (partial(self.catalog.poll_sources, settings.source_poll / 2), settings.source_poll),
            (self.store.flush, 1.0),
            (self._measure, 5.0),
            (self._tidy, 600.0),
        )
        for job, seconds in every:
            self.timer.add(job, seconds)
        self.timer.start()

    def _check_clock(self) -> None:
        if self.timer.check():
            log.warning("the clock of this machine was set; what is done at regular times is planned anew")

    def _measure(self) -> None:
        self.telemetry.queue(*self.queue.depth(), "keys")
        self.telemetry.queue(*self.catalog.depth(), "repos")
        self.telemetry.audited(self.store.head())
        self.telemetry.outbox(*self.store.backlog())
        self.telemetry.manifests(*self.catalog.counts())
        self.telemetry.quotas(self.mirrors.quotas())

    def _tidy(self) -> None:
        self.store.prune(self.clock.now().wall - TICKS_KEPT)
        self.catalog.tidy()

    def _shutdown(self) -> None:
        """Let everything end what it is doing; what is left undone is resumed by the next daemon."""
        self.stop.set()
        self._tell()
        self.queue.close()
        self.catalog.close()
        if hasattr(self, "timer"):
            self.timer.stop()
        self.threads.join(STOP_SECONDS, self.clock)
        self.mirrors.close()
        self.adapters.close()
        for notifier in self.notifiers.values():
            notifier.close()
        self.store.close()
        (self.settings.data_dir / "daemon.json").unlink(missing_ok=True)


def config_repos(settings: Settings) -> tuple[ConfigRepo, ...]:
    """The config repos that the settings name. Raises TerminalError for what can never be fetched."""
    if settings.config_repos is not None:
        return read_config_repos(settings.config_repos)
    parse(settings.config_repo)
    return (ConfigRepo(settings.config_repo, settings.branch),)
