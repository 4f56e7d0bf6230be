"""Config repos and the catalog on them, without a daemon: what a start, a restart and a commit bring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fakes.clock import FakeClock
from gitrepos import Repo

from reconciler.catalog import COMPILE, Catalog
from reconciler.config_repos import ConfigRepo
from reconciler.core.desired import Key
from reconciler.manifest.drafter import Drafter
from reconciler.manifest.snapshot import Snapshot
from reconciler.source.git import Mirrors
from reconciler.store import SqlStore, open_store
from reconciler.workqueue import WorkQueue

PROJECT = """\
apiVersion: prodsprint/v1
kind: Project
name: {name}
workspace: {workspace}
source: {source}
version: main
onDelete: {on_delete}
process:
  command: {command}
environments:
  - name: prod
    port: {port}
"""


class Desk:
    """One or several config repos whose projects run one service repo."""

    def __init__(self, folder: Path, *repos: str, **settings: object) -> None:
        """``repos`` are names; without any there is one, which needs none. ``settings`` are those of each ConfigRepo."""
        self.folder = folder
        self.clock = FakeClock()
        self.store: SqlStore = open_store(folder / "store.db")
        self.service = Repo(folder / "service.git")
        self.service.commit({"release": "one"})
        self.source = f"file://{self.service.path}"
        self.git = {name: Repo(folder / f"config-{name}.git") for name in repos or ("",)}
        self.configs = tuple(ConfigRepo(self.git[name].url, name=name, **settings) for name in repos or ("",))  # type: ignore[arg-type]
        self.files: dict[str, dict[str, str]] = {name: {} for name in self.git}
        self.changes: list[frozenset[Key]] = []
        self.catalog = self.started()

    def project(
        self, name: str, port: int, workspace: str = "default", command: str = "serve", on_delete: str = "keep"
    ) -> str:
        """A manifest."""
        return PROJECT.format(
            name=name, workspace=workspace, source=self.source, port=port, command=command, on_delete=on_delete
        )

    def started(self, **settings: object) -> Catalog:
        """The catalog of a daemon that was just started on what is there, before it has looked at any remote."""
        mirrors = Mirrors(self.folder / "mirrors")
        queue: WorkQueue[str] = WorkQueue(self.clock.seconds)
        repos = tuple(replace(one, **settings) for one in self.configs)  # type: ignore[arg-type]
        catalog = Catalog(
            mirrors, repos, self.store.config, Drafter(0), self.clock, queue, self.changes.append,
            lambda *_: None, lambda seconds: seconds,
        )  # fmt: skip
        catalog.restore()
        return catalog

    def restart(self, **settings: object) -> Catalog:
        """End the catalog, and start another one."""
        self.catalog.close()
        self.catalog.mirrors.close()
        self.catalog = self.started(**settings)
        return self.catalog

    def commit(self, files: dict[str, str | None], repo: str = "") -> str:
        """Change files (None removes) and have it compiled; returns the commit."""
        for path, text in files.items():
            if text is None:
                self.files[repo].pop(path)
            else:
                self.files[repo][path] = text
        commit = self.git[repo].commit(dict(self.files[repo]))
        self.look()
        return commit

    def look(self) -> Snapshot:
        """Fetch everything and compile, as the daemon does in its own time."""
        for config in self.configs:
            self.catalog.process(config.url)
        self.catalog.process(COMPILE)
        if self.source in self.catalog.sources():
            self.catalog.process(self.source)
            self.catalog.process(COMPILE)
        return self.snapshot

    @property
    def snapshot(self) -> Snapshot:
        """What is in force."""
        assert self.catalog.snapshot is not None
        return self.catalog.snapshot

    def events(self) -> list[tuple[str, str]]:
        """Type and message of every audit entry."""
        return [(one.type, one.message) for one in self.store.events(0, 1000)]

    def close(self) -> None:
        """Release everything."""
        self.catalog.close()
        self.catalog.mirrors.close()
        self.store.close()


def key(name: str, workspace: str = "default") -> Key:
    """The environment of a project."""
    return Key(workspace, name, "prod")
