"""README, followed word for word by somebody with two local repos: its commands, its manifest, its table."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from envoys import require_envoy
from pages import README, ROOT, alternatives, blocks
from programs import marked
from waiting import eventually

from reconciler.clock import SystemClock
from reconciler.demo.repos import SERVICE, Repo
from reconciler.demo.stage import Stage, clear, free_port

pytestmark = pytest.mark.e2e

LINES = [line for block in blocks(ROOT / "README.md", "sh") for line in block.text.splitlines()]
(MANIFEST,) = blocks(ROOT / "README.md", "yaml")
TABLE = [command for span in re.findall(r"`(prodsprint [^`]+)`", README) for command in alternatives(span)]
PORT = "8080"


class Reader:
    """Does what README says, in a home of their own."""

    def __init__(self, home: Path) -> None:
        clock = SystemClock()
        self.home, self.port = home, free_port()
        self.stage = Stage(home, clock, self.port, 0)
        self.config, self.service = Repo(home / "config", clock.now()), Repo(home / "service", clock.now())
        for version in ("v1", "v2"):
            release = {"version": version, "failing": 0.0, "milliseconds": 1.0}
            files = {"app.py": SERVICE.read_text(encoding="utf-8"), "release.json": json.dumps(release)}
            self.service.commit(files, version, tag=version)

    def words(self, line: str) -> list[str]:
        """A command of README, with the local repo and home."""
        line = re.sub(r"https://git\.example\.com/\S+/config\.git", self.config.folder.as_uri(), line)
        program, *words = shlex.split(line.replace("~", str(self.home)))
        assert program in {".venv/bin/prodsprint", "prodsprint"}
        return words

    def start(self, line: str) -> None:
        """Start the daemon, on ports of its own."""
        words = self.words(line)
        self.stage.start(
            "daemon", "reconciler", *words, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--poll", "500ms"
        )
        data = Path(words[words.index("--data-dir") + 1])
        self.until((data / "daemon.json").exists)
        os.environ["PRODSPRINT_DATA_DIR"] = str(data)

    def run(self, line: str) -> tuple[int, str]:
        """Exit code and output of a command, in the config repo."""
        command = [sys.executable, "-m", "reconciler", *self.words(line)]
        done = subprocess.run(command, cwd=self.config.folder, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    def commit(self, version: str) -> None:
        """Commit README's manifest with a version."""
        text = re.sub(r"https://git\.example\.com/\S+/hello\.git", self.service.folder.as_uri(), MANIFEST.text)
        text = text.replace("version: v1", f"version: {version}").replace(PORT, str(self.port))
        assert text.count(str(self.port)) == 1
        self.config.commit({"prodsprint.yaml": text}, version)

    def until(self, check, seconds: float = 60.0):
        def alive():
            self.stage.check()
            return check()

        return eventually(alive, seconds, 0.1)

    def ask(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            return answer.read().decode()

    def state(self) -> tuple[str, str]:
        code, shown = self.run("prodsprint status hello/prod -o json")
        one = json.loads(shown)[0] if code == 0 else {"sync_status": "", "health_status": ""}
        return one["sync_status"], one["health_status"]


@pytest.fixture
def reader(tmp_path, monkeypatch):
    require_envoy()
    monkeypatch.setenv("PRODSPRINT_DATA_DIR", "")
    one = Reader(tmp_path)
    yield one
    programs = list(one.stage.programs.values())
    sys.stderr.write(one.stage.last_words())
    clear(tmp_path)
    for program in programs:
        program.wait(10)
    eventually(lambda: not marked(tmp_path), 10, what="no process left")


def test_the_readme_works(reader):
    made = [line for line in LINES if line.startswith("make ")]
    assert set(made) == {"make demo", "make setup"}  # test_docs.py and test_demo.py look after these
    assert [line.split()[1] for line in LINES if line not in made] == ["run", "validate"]
    run, validate = (line for line in LINES if line not in made)
    reader.start(run)
    reader.commit("v1")
    assert reader.run(validate) == (0, "fine: 1 file, 1 environment (default/hello/prod)\n")
    reader.until(lambda: reader.state() == ("OutOfSync", "Progressing"))
    promote = next(command for command in TABLE if " release promote " in command)
    reader.until(lambda: reader.run(promote)[0] == 0)  # the first release bakes for minutes
    reader.until(lambda: reader.state() == ("Synced", "Healthy"))
    assert reader.ask() == "hello from v1\n"
    assert len(TABLE) >= 10
    reader.config.commit({"README.md": "what our services are"}, "a second commit")
    subprocess.run(["git", "branch", "my-branch"], cwd=reader.config.folder, check=True)
    (ending,) = (command for command in TABLE if " instances stop" in command)
    for command in (one for one in TABLE if one != ending):
        code, shown = reader.run(command)
        # Nothing is in progress, and there is nothing to go back to: verbs that act may be refused.
        assert code in ({0, 3} if "--reason" in command else {0}), (command, shown)
        assert shown
    reader.stage.end("daemon", signal.SIGTERM)
    code, shown = reader.run(ending)
    assert (code, shown.endswith(" ended\n")) == (0, True)
    with pytest.raises(OSError, match="refused"):
        reader.ask()
