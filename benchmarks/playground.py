"""A daemon, a service repo, a config repo and traffic, all real, for benchmarks that measure the whole."""

from __future__ import annotations

import argparse
import select
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prodsprint.v1 import AbortRequest, Attempt, Environment, GetEnvironmentRequest, ListAttemptsRequest

from reconciler.cli.client import Client, connect
from reconciler.clock import SystemClock
from reconciler.demo.repos import Repo, make_service
from reconciler.demo.stage import Stage, clear, free_port

KEY = "bench/hello/prod"
MANIFEST = """\
apiVersion: prodsprint/v1
kind: Project
name: hello
workspace: bench
source: {source}
version: {version}
process:
  command: {python} app.py
  health: /healthz
  env: {{ROUND: "{round}"}}
environments:
  - name: prod
    port: {port}
    instances: 2
    release: {{steps: [{steps}], bake: {bake}, drain: 500ms}}
    analysis: {{interval: {interval}}}
"""


@dataclass(slots=True)
class Playground:
    """One project, and the ways a benchmark acts on it."""

    stage: Stage
    source: Repo
    config: Repo
    client: Client
    connections: ExitStack = field(default_factory=ExitStack)
    settings: dict[str, str] = field(default_factory=lambda: {"steps": "100%", "bake": "0s", "interval": "500ms"})

    def commit(self, version: str, round_: int) -> None:
        """Ask for a version; another ``round_`` makes it another release."""
        text = MANIFEST.format(
            source=self.source.folder.as_uri(),
            python=sys.executable,
            version=version,
            port=self.stage.port,
            round=round_,
            **self.settings,
        )
        self.config.commit({"prodsprint.yaml": text}, f"{version} {round_}")

    def environment(self) -> Environment:
        """The state of the project's one environment."""
        return self.client.call(self.client.status.GetEnvironment, GetEnvironmentRequest(key=KEY)).environment

    def attempts(self) -> list[Attempt]:
        """Finished attempts, oldest first."""
        request = ListAttemptsRequest(key=KEY, page_size=1000)
        return list(reversed(self.client.call(self.client.status.ListAttempts, request).attempts))

    def abort(self) -> None:
        """Give up the rollout in progress."""
        request = AbortRequest(key=KEY, reason="benchmark")
        self.client.call(self.client.control.Abort, request)

    def until(self, check: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + seconds
        while not check():
            self.stage.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {seconds} s: {self.environment()}")
            select.select([], [], [], 0.02)

    def serve(self, version: str = "v1") -> None:
        """Bring up the first release."""
        self.commit(version, 0)
        self.until(lambda: _quiet(self.attempts))

    def reconnect(self) -> None:
        """Talk to the daemon that was started last: it may listen elsewhere."""
        self.client = self.connections.enter_context(connect(_where(self.stage)))

    def traffic(self, rate: float, log: Path | None = None) -> None:
        """Start traffic."""
        more = ("--log", str(log)) if log else ()
        self.stage.start("traffic", "reconciler.demo.traffic", str(self.stage.port), "--rate", str(rate), *more)


def _quiet(attempts: Callable[[], list[Attempt]]) -> bool:
    import grpc

    try:
        return bool(attempts())
    except grpc.RpcError:
        return False


@contextmanager
def playground() -> Iterator[Playground]:
    """Everything started, and ended again."""
    clock = SystemClock()
    stage = Stage(Path(tempfile.mkdtemp(prefix="prodsprint-bench-")), clock, free_port(), 0)
    try:
        source = make_service(stage.folder / "service", clock.now())
        config = Repo(stage.folder / "config", clock.now())
        stage.start_daemon()
        stage.wait_for_daemon()
        with ExitStack() as connections:
            client = connections.enter_context(connect(_where(stage)))
            yield Playground(stage, source, config, client, connections)
    finally:
        clear(stage.folder)


def _where(stage: Stage) -> argparse.Namespace:
    return argparse.Namespace(data_dir=stage.data, address=None, token_file=None, ca=None)
