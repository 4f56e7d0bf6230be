"""A config repo, a service repo with good and faulty versions, and a daemon with Envoy and traffic on them, all real."""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from prodsprint.v1 import Attempt, Environment, Event, GetEnvironmentRequest, ListAttemptsRequest, ListEventsRequest
from programs import marked
from waiting import T, eventually

from reconciler import cli
from reconciler.cli.client import Client, connect
from reconciler.clock import SystemClock
from reconciler.demo.repos import SERVICE, Repo
from reconciler.demo.stage import Counts, Stage, clear, free_port

Json = dict[str, Any]

GOOD = ("v1", "v2", "v3", "v4")
FAULTS = ("exits", "crashes", "floods", "forks", "stubborn")
FAULTY = Path(__file__).parent / "e2e" / "faulty.py"
ALL_AT_ONCE: Json = {"strategy": "all-at-once", "steps": None}
COMMAND = f"{sys.executable} -I -S faulty.py"


@dataclass
class Ground:
    """One daemon and the projects that it runs."""

    stage: Stage
    service: Repo
    config: Repo
    client: Client
    connections: ExitStack
    options: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    manifests: dict[str, Json] = field(default_factory=dict)

    # --- what git asks for ---

    def manifest(self, name: str, version: str, **changes: Json) -> str:
        """The manifest of a project with one environment; ``changes`` are merged into its blocks, and stay for the next."""
        known = self.manifests.setdefault(name, {})
        for block, values in changes.items():
            known[block] = known.get(block, {}) | values
        port = self.ports.setdefault(name, free_port())
        prod = {
            "name": "prod",
            "port": port,
            "release": {
                "steps": ["50%", "100%"],
                "bake": "400ms",
                "drain": "100ms",
                "progressDeadline": "20s",
                **known.get("release", {}),
            },
            "analysis": {"interval": "200ms", "errorBudget": "10%", **known.get("analysis", {})},
            **known.get("environment", {}),
        }
        document = {
            "apiVersion": "prodsprint/v1",
            "kind": "Project",
            "name": name,
            "source": self.service.folder.as_uri(),
            "version": version,
            "process": {
                "command": COMMAND,
                "health": "/healthz",
                "healthInterval": "200ms",
                "stopDeadline": "2s",
                **known.get("process", {}),
            },
            "environments": [*known.get("before", {}).values(), prod],
            **known.get("project", {}),
        }
        return json.dumps(_without_none(document), indent=1)  # JSON is YAML

    def commit(self, **projects: str) -> str:
        """Commit the manifests of several projects at once."""
        files = {f"{name}.prodsprint.yaml": text for name, text in projects.items()}
        return self.config.commit(files, f"change {', '.join(projects)}")

    def want(self, name: str, version: str, **changes: Json) -> str:
        """Ask for a version of a project; returns the commit of the config repo."""
        return self.commit(**{name: self.manifest(name, version, **changes)})

    def serve(self, *names: str, **changes: Json) -> None:
        """Bring up the first version of some projects."""
        self.commit(**{name: self.manifest(name, "v1", **changes) for name in names})
        for name in names:
            self.ended(name, 1)

    # --- what people see ---

    def environment(self, name: str, environment: str = "prod") -> Environment:
        request = GetEnvironmentRequest(key=key_of(name, environment))
        return self.client.call(self.client.status.GetEnvironment, request).environment

    def attempts(self, name: str, environment: str = "prod") -> list[Attempt]:
        """Finished attempts, oldest first."""
        request = ListAttemptsRequest(key=key_of(name, environment), page_size=100)
        try:
            return list(reversed(self.client.call(self.client.status.ListAttempts, request).attempts))
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:  # the key appears with the first commit
                return []
            raise

    def events(self, name: str, kind: str) -> list[Event]:
        """The events of one type, oldest first."""
        request = ListEventsRequest(key=key_of(name), page_size=1000)
        found = self.client.call(self.client.status.ListEvents, request).events
        return [one for one in found if one.type == kind]

    def cli(self, *words: str) -> tuple[int, str]:
        """Exit code and output of ``prodsprint WORDS``, errors included."""
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            code = cli.main([*words, "--data-dir", str(self.stage.data)])
        return code, out.getvalue()

    def why(self, name: str, environment: str = "prod") -> str:
        """What ``prodsprint why`` says."""
        return self.cli("why", key_of(name, environment))[1]

    def act(self, verb: str, name: str, reason: str = "a test") -> tuple[int, str]:
        """Exit code and answer of a verb that acts on the daemon."""
        words = [verb] if verb == "rollback" else ["release", verb]
        return self.cli(*words, key_of(name), "--reason", reason)

    # --- waiting ---

    def until(self, check: Callable[[], T], seconds: float = 40.0, what: str = "") -> T:
        """Wait for a condition while everything goes on running."""

        def alive() -> T:
            self.stage.check()
            return check()

        return eventually(alive, seconds, 0.05, what or f"see {self.stage.folder}")

    def ended(self, name: str, attempts: int, environment: str = "prod", seconds: float = 40.0) -> Attempt:
        """Wait until so many attempts have ended, and return the last of them."""

        def enough() -> list[Attempt]:
            found = self.attempts(name, environment)
            return found[attempts - 1 :]

        return self.until(enough, seconds, f"{name} has ended {attempts} attempts")[0]

    def says(self, name: str, *words: str, environment: str = "prod", seconds: float = 20.0) -> str:
        """Wait until ``prodsprint why`` says all of these words."""
        last = ""

        def said() -> bool:
            nonlocal last
            last = self.why(name, environment)
            return all(word in last for word in words)

        try:
            self.until(said, seconds)
        except AssertionError:
            pytest.fail(f"why {name} does not say {words}, but:\n{last}")
        return last

    def canary(self, name: str, requests: int = 1) -> Environment:
        """Wait until the canary in progress has answered so many requests."""
        self.until(lambda: self.environment(name).rollout.analysis.canary_requests >= requests)
        return self.environment(name)

    # --- the daemon and the traffic ---

    def start_daemon(self, **options: str) -> None:
        """Start the daemon (again), as it was started before but for ``options``, and wait for it."""
        if "daemon" in self.stage.programs:
            self.stage.end("daemon")
        self.options |= options
        self.stage.start_daemon(**self.options)
        self.stage.wait_for_daemon()
        self.connect()

    def connect(self) -> None:
        self.client = self.connections.enter_context(connect(_where(self.stage)))

    def traffic(self, *names: str, rate: float = 100.0) -> None:
        """Start steady requests to some projects."""
        for name in names:
            self.stage.start(f"traffic-{name}", "reconciler.demo.traffic", str(self.ports[name]), "--rate", str(rate))
        for name in names:
            self.until(lambda name=name: self.stage.traffic(f"traffic-{name}").sent, what="traffic flows")

    def end_traffic(self, name: str) -> Counts:
        """End it, and return what became of all its requests."""
        self.stage.end(f"traffic-{name}")
        return self.stage.traffic(f"traffic-{name}")

    def folder(self, name: str) -> Path:
        """Where the process target keeps the instances of a project."""
        return self.stage.data / "targets" / "process" / "instances" / "default" / name / "prod"

    def pids(self, name: str) -> dict[str, int]:
        """Process ids of the programs of a project's instances, by the names of their folders."""
        found = {path.parent.name: json.loads(path.read_bytes()) for path in self.folder(name).glob("*/state.json")}
        return {name: state["pid"] for name, state in found.items() if state["pid"]}

    def envoy(self) -> int | None:
        """Process id of Envoy; None while it is down."""
        folder = self.stage.data / "routers" / "envoy" / "process"
        pid: int | None = json.loads((folder / "state.json").read_bytes())["pid"]
        return pid


def key_of(name: str, environment: str = "prod") -> str:
    return f"default/{name}/{environment}"


def lost(counts: Counts) -> Json:
    """Requests without an answer of the service, by reason."""
    return {**counts.failed, **counts.answered.get("(router)", {})}


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(one) for name, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list) else value


def _where(stage: Stage) -> argparse.Namespace:
    return argparse.Namespace(data_dir=stage.data, address=None, token_file=None, ca=None)


def make_service(folder: Path, clock: SystemClock) -> Repo:
    """The demo's service: good versions, one for every fault, one that hangs, and two that fail requests."""
    service = Repo(folder, clock.now())
    programs = {"app.py": SERVICE.read_text(encoding="utf-8"), "faulty.py": FAULTY.read_text(encoding="utf-8")}
    releases: dict[str, Json] = {name: {} for name in GOOD} | {name: {"fault": name} for name in FAULTS}
    releases |= {"hangs": {"milliseconds": 1e9}, "broken": {"failing": 1.0}, "bad": {"failing": 0.5}}
    for name, more in releases.items():
        release = {"version": name, "failing": 0.0, "milliseconds": 3.0, "fault": "", **more}
        service.commit({**programs, "release.json": json.dumps(release)}, name, tag=name)
    return service


@contextmanager
def ground(**options: str) -> Iterator[Ground]:
    """Everything started, with ``options`` for the daemon, and ended again: nothing of it lives on."""
    clock = SystemClock()
    stage = Stage(Path(tempfile.mkdtemp(prefix="prodsprint-e2e-")), clock, 0, 0)
    known = {"poll": "200ms", "source_poll": "1s", **options}
    try:
        service = make_service(stage.folder / "service", clock)
        config = Repo(stage.folder / "config", clock.now())
        stage.start_daemon(**known)
        stage.wait_for_daemon()
        with ExitStack() as connections:
            client = connections.enter_context(connect(_where(stage)))
            yield Ground(stage, service, config, client, connections, known)
    finally:
        programs = list(stage.programs.values())
        log = (stage.folder / "daemon.log").read_text(encoding="utf-8", errors="replace")
        sys.stderr.write(log[-8000:])  # pytest shows it for failures
        clear(stage.folder)
        for program in programs:
            program.wait(10)
        shutil.rmtree(stage.folder, ignore_errors=True)
        eventually(lambda: not marked(stage.folder), 10, what="no process left")
