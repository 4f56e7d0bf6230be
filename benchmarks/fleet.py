"""Config repos of many manifests, and daemons on them."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pygit2

KINDS = Path(__file__).parent / "fleet_kinds"
TEAM = 100
"""Services in one folder."""
MANIFEST = """\
# {name}: orders, prices and stock of one part of the shop. Ask in #team-{team:03d} before you change anything here.
apiVersion: prodsprint/v1
kind: Project
name: {name}
workspace: default
source: {source}
version: {version}

fleet:
  command: serve --service {name} --port $PORT --config /etc/service/config.toml
  health: /healthz
  env:
    LOG_LEVEL: info
    DATABASE_POOL: "12"
    UPSTREAM: http://gateway.internal:9000/team-{team:03d}
    FEATURES: "search,prices,stock"
    GREETING: "{greeting}"{more}

environments:
  # Staging gets every commit at once.
  - name: staging
    target: fleet
    router: fleet
    port: {first}
    instances: 1
    release:
      strategy: all-at-once
      bake: 0s
    analysis:
      source: fleet

  # Production: a canary with the numbers that the team agreed on.
  - name: prod
    target: fleet
    router: fleet
    port: {second}
    instances: 4
    after: staging
    release:
      strategy: canary
      steps: [1%, 5%, 25%, 100%]
      bake: 0s
      maxBake: 45m
      holdDeadline: 12h
    analysis:
      source: fleet
      interval: 10s
      errorBudget: 0.5%
      warmup: 30s
"""


def manifest(number: int, source: str, greeting: str = "hello", version: str = "v1", more: str = "") -> str:
    """The manifest of one service, of about 1.2 KB with two environments."""
    return MANIFEST.format(
        name=f"service-{number:06d}",
        team=number // TEAM,
        source=source,
        version=version,
        greeting=greeting,
        more=more,
        first=1024 + (2 * number) % 64_000,
        second=1025 + (2 * number) % 64_000,
    )


def path_of(number: int) -> str:
    """Where the manifest of a service lies."""
    return f"teams/team-{number // TEAM:03d}/service-{number:06d}/prodsprint.yaml"


class FleetRepo:
    """A bare config repo with the manifests of services 0 to ``size`` - 1."""

    def __init__(self, folder: Path, size: int, source: str, broken: int = 0, failing: int = 0) -> None:
        """The first ``broken`` manifests are not YAML; the next ``failing`` ask for what their target cannot do."""
        self.folder, self.size, self.source = folder, size, source
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", folder], check=True)
        with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=folder, stdin=subprocess.PIPE) as git:
            assert git.stdin is not None
            git.stdin.write(b"commit refs/heads/main\ncommitter bench <bench@example.com> 1 +0000\ndata 5\nfleet\n")
            for number in range(size):
                more = "\n  fails: true" if broken <= number < broken + failing else ""
                text = "name: [\n" if number < broken else manifest(number, source, more=more)
                data = text.encode()
                git.stdin.write(b"M 644 inline %s\ndata %d\n%s\n" % (path_of(number).encode(), len(data), data))
        if git.returncode:
            raise RuntimeError("git fast-import failed")
        self.commits = 0

    @property
    def url(self) -> str:
        """Its address."""
        return self.folder.as_uri()

    def bytes(self) -> list[bytes]:
        """The content of every manifest."""
        repo = pygit2.Repository(str(self.folder))
        tree = repo.references["refs/heads/main"].peel(pygit2.Tree)
        return [tree[path_of(number)].data for number in range(self.size)]

    def change(self, number: int, **fields: str) -> str:
        """Commit a change of one manifest; costs as much in a large repo as in a small one. Returns the commit."""
        self.commits += 1
        text = manifest(number, self.source, **({"greeting": f"hello {self.commits}"} | fields))
        repo = pygit2.Repository(str(self.folder))
        parent = repo.references["refs/heads/main"].peel(pygit2.Commit)
        tree = _with(repo, parent.tree, Path(path_of(number)).parts, repo.create_blob(text.encode()))
        who = pygit2.Signature("bench", "bench@example.com", 2 + self.commits, 0)
        return str(repo.create_commit("refs/heads/main", who, who, f"change {number}", tree, [parent.id]))


def _with(repo: pygit2.Repository, tree: pygit2.Tree, parts: tuple[str, ...], blob: pygit2.Oid) -> pygit2.Oid:
    builder = repo.TreeBuilder(tree)
    if len(parts) == 1:
        builder.insert(parts[0], blob, pygit2.enums.FileMode.BLOB)
    else:
        inner = repo[tree[parts[0]].id]
        builder.insert(parts[0], _with(repo, inner, parts[1:], blob), pygit2.enums.FileMode.TREE)
    return builder.write()


def installed(folder: Path) -> Path:
    """Make the outside package with the fleet's kinds in a folder; to be put on PYTHONPATH."""
    site = folder / "site"
    info = site / "prodsprint_fleet-1.dist-info"
    info.mkdir(parents=True)
    (site / "prodsprint_fleet.py").write_bytes((KINDS / "prodsprint_fleet.py").read_bytes())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: prodsprint-fleet\nVersion: 1\n", encoding="ascii")
    groups = {"targets": "TARGET", "routers": "ROUTER", "metric_sources": "METRICS"}
    lines = [f"[prodsprint.{group}]\nfleet = prodsprint_fleet:{name}\n" for group, name in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="ascii")
    return site


class FleetDaemon:
    """``prodsprint run`` on a config repo, with the fleet's kinds installed."""

    def __init__(self, folder: Path, url: str, *options: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.options = ("--config-repo", url, *options) if url else options
        self.program: subprocess.Popen[bytes] | None = None
        if not (folder / "site").exists():
            installed(folder)

    def start(self) -> None:
        """Start it."""
        (self.data / "daemon.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "reconciler", "run", "--data-dir", str(self.data), "--grpc", "127.0.0.1:0"]
        command += ["--http", "127.0.0.1:0", "--log-format", "plain", *self.options]
        with (self.folder / "daemon.log").open("ab") as log:
            environment = os.environ | {"PYTHONPATH": str(self.folder / "site")}
            self.program = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def until(self, check: Callable[[], bool], seconds: float = 300.0, every: float = 0.001) -> float:
        """Wait for a condition, and return how many seconds that took. Raises RuntimeError when it does not come."""
        start = time.monotonic()
        while not check():
            if self.program is not None and self.program.poll() is not None:
                raise RuntimeError(f"the daemon ended:\n{(self.folder / 'daemon.log').read_text()[-3000:]}")
            if time.monotonic() - start > seconds:
                raise RuntimeError(f"not within {seconds} s:\n{(self.folder / 'daemon.log').read_text()[-3000:]}")
            select.select([], [], [], every)
        return time.monotonic() - start

    def rss(self) -> float:
        """Resident memory in MB."""
        assert self.program is not None
        status = Path(f"/proc/{self.program.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> None:
        """End it."""
        if self.program is not None:
            self.program.terminate()
            self.program.wait(60)
            self.program = None
