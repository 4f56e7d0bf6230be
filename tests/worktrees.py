"""Work trees of git repos for tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pygit2
from gitrepos import AUTHOR

MANIFEST = """\
apiVersion: prodsprint/v1
kind: Project
name: {name}
source: {source}
version: {version}
process:
  command: python3 app.py
environments:
  - name: prod
    port: {port}
"""
SOURCE = "file:///nowhere/service.git"


def manifest(name: str, port: int, version: str = "v1", more: str = "", source: str = SOURCE) -> str:
    return MANIFEST.format(name=name, port=port, version=version, source=source) + more


class WorkTree:
    """A repo with a work tree; what is written there is committed as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = pygit2.init_repository(str(folder), initial_head="main")

    def write(self, **files: str) -> None:
        """Write manifests, ``a__b`` for ``a/b/prodsprint.yaml``."""
        for name, text in files.items():
            path = self.folder / name.replace("__", "/") / "prodsprint.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, **files: str) -> str:
        self.write(**files)
        index = self.git.index
        index.add_all()
        index.write()
        parents = [] if self.git.head_is_unborn else [self.git.head.target]
        return str(self.git.create_commit("HEAD", AUTHOR, AUTHOR, "a change", index.write_tree(), parents))
