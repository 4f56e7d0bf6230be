from __future__ import annotations

import sys

from waiting import eventually

from reconciler import proc
from reconciler.cli import main


def start(folder, name):
    spec = proc.ShimSpec(
        name, (sys.executable, "-c", "import signal; signal.pause()"), (("PATH", "/usr/bin"),), str(folder)
    )
    proc.start(folder / name, spec)
    eventually(lambda: (state := proc.look(folder / name)) and state.status is proc.ShimStatus.READY)


def test_everything_that_was_left_running_ends(tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / "data" / "instances").mkdir(parents=True, exist_ok=True)
        start(tmp_path / "data" / "instances", name)
    assert main(["instances", "stop", "--data-dir", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out == "2 ended\n"
    assert proc.end_below(tmp_path) == 0
    assert main(["instances", "stop", "--data-dir", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out == "nothing was running\n"


def test_a_data_directory_that_is_not_there_is_said(tmp_path, capsys):
    assert main(["instances", "stop", "--data-dir", str(tmp_path / "no")]) == 1
    assert "no such folder" in capsys.readouterr().err
