"""The documentation as tests read it: code blocks, links, and commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A code block, its language, and where it begins."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """The code blocks of a page in some languages; all of them when none is named."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(page, text[: match.start()].count("\n") + 1, match[1], match[2])
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]
    return [one for one in found if not languages or one.language in languages]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def alternatives(span: str) -> list[str]:
    """The commands that one of README's table stands for: ``[-w]`` is left out, ``a\\|b`` is one each."""
    command = re.sub(r" \[[^]]*\]", "", span.replace("\\|", "|"))
    choice = re.search(r"\S*\|\S*", command)
    return [command.replace(choice[0], word) for word in choice[0].split("|")] if choice else [command]
