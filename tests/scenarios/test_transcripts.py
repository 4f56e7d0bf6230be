"""What people type and what they see, word for word: the ``*.txt`` files here, played against one real daemon.

A line that begins with ``$`` is a command; what follows is its output, and its exit code when it is not 0. A line
``(attempt 2 has ended)`` waits for that. Every transcript has a folder of its own in the config repo, with a manifest for
a project of its name. What differs from run to run is a placeholder. ``PRODSPRINT_UPDATE=1`` writes what is printed now.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from envoys import require_envoy
from ground import Ground, ground

from reconciler import cli
from reconciler.demo.stage import free_port

HERE = Path(__file__).parent
TRANSCRIPTS = sorted(HERE.glob("*.txt"))
WAIT = re.compile(r"\(attempt (\d+) has ended\)")
MANIFEST = """\
apiVersion: prodsprint/v1
kind: Project
name: {name}
source: {source}
version: v1
process:
  command: python3 app.py
environments:
  - name: prod
    port: {port}
    release: {{strategy: all-at-once, bake: 200ms, drain: 100ms}}
    analysis: {{interval: 200ms}}
"""
SHELL = {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8",
}  # fmt: skip


@pytest.fixture(scope="module")
def place():
    require_envoy()
    with ground() as one:
        yield one


class Player:
    """Plays the commands of one transcript in its folder."""

    def __init__(self, place: Ground, name: str, folder: Path) -> None:
        self.place, self.name, self.folder, self.port = place, name, folder, free_port()
        folder.mkdir()
        text = MANIFEST.format(name=name, source=place.service.folder.as_uri(), port=self.port)
        (folder / "prodsprint.yaml").write_text(text)

    def play(self, line: str) -> str:
        """What a line of a transcript prints, as the transcript shows it."""
        wait = WAIT.fullmatch(line)
        if wait:
            self.place.ended(self.name, int(wait[1]))
            return ""
        command = line.removeprefix("$ ")
        code, shown = self._run(command)
        return self.plain(shown) + (f"[exit code {code}]\n" if code else "")

    def _run(self, command: str) -> tuple[int, str]:
        words = shlex.split(command)
        if words[0] != "prodsprint" or "|" in words:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=SHELL | {"PRODSPRINT_DATA_DIR": str(self.place.stage.data)},
                capture_output=True,
                text=True,
                check=False,
            )
            return done.returncode, done.stdout + done.stderr
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            try:
                return cli.main(words[1:]), out.getvalue()
            except SystemExit as end:
                return int(end.code or 0), out.getvalue()

    def plain(self, text: str) -> str:
        """Output without what differs from run to run, and without the alignment that depends on it."""
        text = text.replace(str(self.place.stage.folder), "<FOLDER>").replace(sys.executable, "<PYTHON>")
        for pattern, instead in (
            (rf"\b{self.port}\b", "<PORT>"),
            (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?", "<TIME>"),
            (r"127\.0\.0\.1:\d+", "<ADDRESS>"),
            (r"\b[0-9a-f]{12,64}\b", "<DIGEST>"),
            (r"generation \d+ → \d+", "generation <N> → <N>"),
            (r"(?m)^\d+(?=  +<TIME>)", "<ID>"),
            (r"\b\d+(\.\d+)? m?s\b", "<DURATION>"),
            (r"token:[\w.-]+", "token:<USER>"),
            (r"(?<=\S)  +", "  "),
        ):
            text = re.sub(pattern, instead, text)
        return text


def test_there_are_transcripts():
    assert {path.stem for path in TRANSCRIPTS} == {"commits", "plan", "release", "stays", "validate", "verbs"}


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_transcript_is_what_people_see(path, place, monkeypatch):
    player = Player(place, path.stem, place.config.folder / path.stem)
    monkeypatch.chdir(player.folder)
    monkeypatch.setenv("PRODSPRINT_DATA_DIR", str(place.stage.data))
    expected = path.read_text(encoding="utf-8")
    played = ""
    quiet = True
    for line in expected.splitlines():
        if not line.startswith(("$ ", "# ", "(")):
            continue  # output of the time when the transcript was written
        shown = "" if line.startswith("# ") else player.play(line)
        gap = "" if not played or (quiet and not line.startswith("# ")) else "\n"
        played += f"{gap}{line}\n{shown}"
        quiet = not shown
    if os.environ.get("PRODSPRINT_UPDATE"):
        path.write_text(played, encoding="utf-8")
    else:
        assert played == expected
