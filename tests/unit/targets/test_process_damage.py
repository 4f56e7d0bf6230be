"""What a disk has damaged costs what it said, and blocks nothing."""

from __future__ import annotations

import sys

import pytest
from releases import KEY, folder_of, release, settle
from waiting import eventually

from reconciler.core.observed import InstanceStatus
from reconciler.core.text import REPLACEMENT
from reconciler.proc import ShimStatus, look

DAMAGE = pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\0" * 200])


@DAMAGE
def test_an_instance_that_runs_is_known_by_its_folder_and_its_release(target, host, commit, content):
    (one,) = settle(target, release(commit), 1, 1)
    (folder_of(host, one) / "instance.json").write_text(content)
    assert target.observe(KEY) == (one,)
    settle(target, release(commit), 1, 2)
    assert "artifact" in (folder_of(host, one) / "instance.json").read_text()
    (folder_of(host, one) / "instance.json").write_text(content)
    settle(target, release(commit), 0, 3)


def test_a_folder_that_says_nothing_at_all_hides_nobody(target, host, commit):
    (good,) = settle(target, release(commit), 1, 1)
    stray = folder_of(host, good).with_name("abc-0")
    stray.mkdir()
    (stray / "instance.json").touch()
    found = {one.id: one for one in target.observe(KEY)}
    assert found.pop("abc-0").status is InstanceStatus.BACKING_OFF
    assert found == {good.id: good}


def test_an_instance_whose_file_cannot_be_read_is_known_too(target, host, commit):
    (one,) = settle(target, release(commit), 1, 1)
    file = folder_of(host, one) / "instance.json"
    file.unlink()
    file.mkdir()  # an OSError for everybody, root included
    assert target.observe(KEY) == (one,)


@DAMAGE
def test_damaged_records_of_a_release_and_a_generation_are_written_anew(target, host, commit, content):
    (one,) = settle(target, release(commit), 1, 1)
    folder = folder_of(host, one).parent
    (record,) = folder.glob("releases/*.json")
    for path in (record, folder / "generation.json"):
        path.write_text(content)
    target.keep(KEY, frozenset({one.digest}))
    settle(target, release(commit), 2, 2)
    assert one.digest in record.read_text()
    assert '"generation": 2' in (folder / "generation.json").read_text()


def test_a_damaged_state_is_written_again_by_the_shim_that_lives(target, host, commit):
    (one,) = settle(target, release(commit), 1, 1)
    (folder_of(host, one) / "state.json").write_text("")
    assert look(folder_of(host, one)).status is ShimStatus.LOST
    assert target.observe(KEY)[0].status is InstanceStatus.BACKING_OFF
    eventually(lambda: target.observe(KEY) == (one,), 10)


def test_what_a_service_prints_steers_no_terminal_and_stays_short(target, commit):
    program = r"print('\x1b]52;c;ZXZpbA==\x07\x1b[2J' + 'x' * 5000); print('all\x1b[31m fine'); raise SystemExit(2)"
    wanted = release(commit, spec={"command": [sys.executable, "-c", program]})
    (one,) = settle(target, wanted, 1, 1, InstanceStatus.FAILED)
    said = one.message.partition(" (in ")[0]
    assert said.endswith(f"its log ends: all{REPLACEMENT}[31m fine")
    assert len(said) <= 200
    assert "\x1b" not in one.message
    assert "\n" not in one.message
