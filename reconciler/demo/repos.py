"""The two git repos of the story: a service with four versions, and the config repo that says which one is wanted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pygit2

from reconciler.core.desired import Instant

SERVICE = Path(__file__).with_name("service") / "app.py"
MANIFEST = """\
apiVersion: prodsprint/v1
kind: Project
name: hello
workspace: demo
source: {source}
version: {version}
process:
  command: {python} app.py
  health: /healthz
environments:
  - name: prod
    port: {port}
    instances: 2
    release: {{steps: [1%, 5%, 25%, 100%], bake: 1s, drain: 500ms}}
    analysis: {{interval: 500ms}}
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the service: how often it fails, how long it takes, and what the story says of it."""

    name: str
    failing: float
    milliseconds: float
    says: str


VERSIONS = (
    Version("v1", 0.0, 5.0, "the first version"),
    Version("v2", 0.0, 5.0, "a good change"),
    Version("v3", 0.2, 5.0, "fails 20 % of its requests"),
    Version("v4", 0.0, 15.0, "is three times slower"),
)


class Repo:
    """A git repo with a work tree of a few files, committed to as a person would."""

    def __init__(self, folder: Path, now: Instant) -> None:
        self.folder = folder
        self._repo = pygit2.init_repository(str(folder), initial_head="main")
        self._now = now

    def commit(self, files: dict[str, str], message: str, tag: str = "") -> str:
        """Commit the files, tag the commit, and return its id."""
        repo = self._repo
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")
            repo.index.add(name)
        repo.index.write()
        author = pygit2.Signature("ProdSprint demo", "demo@prodsprint.invalid", int(self._now.wall))
        parents = [] if repo.head_is_unborn else [repo.head.target]
        commit = repo.create_commit("HEAD", author, author, message, repo.index.write_tree(), parents)
        if tag:
            repo.references.create(f"refs/tags/{tag}", commit)
        return str(commit)


def make_service(folder: Path, now: Instant) -> Repo:
    """The service repo: one commit and one tag a version."""
    repo = Repo(folder, now)
    program = SERVICE.read_text(encoding="utf-8")
    for version in VERSIONS:
        release = {"version": version.name, "failing": version.failing, "milliseconds": version.milliseconds}
        files = {"app.py": program, "release.json": json.dumps(release, indent=2) + "\n"}
        repo.commit(files, f"{version.name}: {version.says}", tag=version.name)
    return repo
