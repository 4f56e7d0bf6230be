"""``prodsprint demo``: the story, as somebody sees it who has just installed it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from envoys import require_envoy
from programs import marked
from waiting import eventually

pytestmark = pytest.mark.e2e


def test_the_demo_promotes_the_good_version_and_rolls_the_bad_ones_back(tmp_path: Path) -> None:
    require_envoy()
    folder = tmp_path / "demo"
    command = [sys.executable, "-m", "reconciler", "demo", "--dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    outcome = done.stdout.partition("What happened")[2].partition("Where to look")[0]
    rows = re.findall(r"\b(v\d)\b.*?\b(promoted|rolled back)", outcome)
    assert rows == [("v1", "promoted"), ("v2", "promoted"), ("v3", "rolled back"), ("v4", "rolled back")]
    assert re.search(r"\b0 lost by routing", outcome)
    assert re.search(r"v3 .*canary failed \d+ of \d+ requests", done.stdout)
    assert re.search(r"v4 .*of the canary took over \d+ ms", done.stdout)
    assert not folder.exists()
    assert not marked(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_demo_that_is_broken_off_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    require_envoy()
    folder = tmp_path / "demo"
    command = [sys.executable, "-m", "reconciler", "demo", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        eventually(
            lambda: list(folder.glob("data/targets/process/instances/*/*/*/*/state.json")), 30, what="instances run"
        )
        demo.send_signal(number)
        _, complaint = demo.communicate(timeout=60)
    assert (demo.returncode, complaint) == (130, "")
    assert not folder.exists()
    eventually(lambda: not marked(folder), 10, what="no process left")
