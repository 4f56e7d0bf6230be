"""Real git repos for tests, made with pygit2 at the lowest level, so that hostile ones can be made too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

AUTHOR = pygit2.Signature("Ann Author", "ann@example.org", 1_700_000_000, 0)


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Tool:
    """An executable file."""

    text: str


class Repo:
    """A bare repo below ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git = pygit2.init_repository(str(path), bare=True, initial_head="main")

    @property
    def url(self) -> str:
        return str(self.path)

    def commit(
        self, files: dict[str, str | bytes | Link | Tool], branch: str = "main", parents: list[str] | None = None
    ) -> str:
        """Commit exactly these files on a branch; ``parents`` defaults to its tip."""
        return self.commit_tree(self.tree(files), branch, parents)

    def commit_tree(self, tree: str, branch: str = "main", parents: list[str] | None = None) -> str:
        name = f"refs/heads/{branch}"
        tip = self.git.references.get(name)
        if parents is None:
            parents = [str(tip.target)] if tip else []
        made = self.git.create_commit(None, AUTHOR, AUTHOR, "a change", tree, parents)
        self.git.references.create(name, made, force=True)
        return str(made)

    def tag(self, name: str, commit: str, annotated: bool = False) -> None:
        target = pygit2.Oid(hex=commit)
        if annotated:
            if self.git.references.get(f"refs/tags/{name}"):
                self.delete(f"refs/tags/{name}")
            self.git.create_tag(name, target, ObjectType.COMMIT, AUTHOR, name)
        else:
            self.git.references.create(f"refs/tags/{name}", target, force=True)

    def delete(self, ref: str) -> None:
        self.git.references.delete(ref)

    def blob(self, data: str | bytes) -> str:
        return str(self.git.create_blob(data.encode() if isinstance(data, str) else data))

    def tree(self, files: dict[str, str | bytes | Link | Tool]) -> str:
        """Nested tree of a flat mapping of paths."""
        folders: dict[str, dict[str, str | bytes | Link | Tool]] = {}
        lines: list[tuple[int, bytes, str]] = []
        for path, content in files.items():
            first, _, rest = path.partition("/")
            if rest:
                folders.setdefault(first, {})[rest] = content
            else:
                lines.append(self._line(first, content))
        lines += [(0o040000, name.encode(), self.tree(inner)) for name, inner in folders.items()]
        return self.raw_tree(lines)

    def _line(self, name: str, content: str | bytes | Link | Tool) -> tuple[int, bytes, str]:
        if isinstance(content, Link):
            return 0o120000, name.encode(), self.blob(content.target)
        if isinstance(content, Tool):
            return 0o100755, name.encode(), self.blob(content.text)
        return 0o100644, name.encode(), self.blob(content)

    def raw_tree(self, lines: list[tuple[int, bytes, str]]) -> str:
        """A tree object with exactly these lines, whatever they are."""
        lines = sorted(lines, key=lambda line: line[1] + (b"/" if line[0] == 0o040000 else b""))
        data = b"".join(f"{mode:o} ".encode() + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in lines)
        return str(self.git.odb.write(ObjectType.TREE, data))
