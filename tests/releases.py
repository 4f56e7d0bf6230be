"""Releases and service files for tests of targets."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from waiting import eventually

from reconciler.core.desired import (
    FULL_WEIGHT,
    AnalysisPolicy,
    Artifact,
    DesiredState,
    Key,
    Release,
    Step,
    Strategy,
    StrategyKind,
)
from reconciler.core.digest import canonical, release_digest
from reconciler.core.observed import InstanceStatus
from reconciler.core.outcome import TerminalError

KEY = Key("shop", "cart", "prod")


class CopiedCheckouts:
    """The port Checkouts over plain folders, one a commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = 0

    def commit(self, files: dict[str, str]) -> str:
        """Keep these files as a commit; its id."""
        revision = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        for name, text in files.items():
            path = self.folder / revision / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return revision

    def checkout(self, source: str, revision: str, into: Path) -> None:
        self.calls += 1
        if not (self.folder / revision).is_dir():
            raise TerminalError(f"{source} has no commit {revision}")
        shutil.copytree(self.folder / revision, into)


def release(
    revision: str,
    *,
    key: Key = KEY,
    spec: dict | None = None,
    runtime: dict | None = None,
    source: str = "file:///service.git",
) -> Release:
    """A release of a commit, with short times."""
    times = {"health_interval": 0.1, "start_deadline": 10.0, "stop_deadline": 5.0, "build_deadline": 20.0}
    desired = DesiredState(
        key=key,
        artifact=Artifact(source, revision, "v1"),
        target="process",
        spec=canonical({"command": [sys.executable, "-I", "-S", "server.py"], **(spec or {})}),
        runtime=canonical({**times, **(runtime or {})}),
        instances=2,
        port=18080,
        router="envoy",
        strategy=Strategy(StrategyKind.ALL_AT_ONCE, (Step(FULL_WEIGHT, 0.0),), 60.0, 60.0, 60.0),
        analysis=AnalysisPolicy(),
        after=(),
        commit="0" * 40,
        path="prodsprint.yaml",
    )
    return Release(release_digest(desired), desired)


def settle(target, wanted, count, generation, status=InstanceStatus.READY, key=KEY):
    """Apply until that many instances of the release have that status; the instances."""

    def done():
        target.apply(key, wanted, count, generation)
        found = [one for one in target.observe(key) if one.digest == wanted.digest]
        return len(found) == count and all(one.status is status for one in found) and (found or True)

    return eventually(done, 20, what=str(status))


def folder_of(host, instance, key=KEY):
    """Where the process target keeps an instance."""
    return host.data / "instances" / key.workspace / key.project / key.environment / instance.id
