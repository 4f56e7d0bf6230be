from __future__ import annotations

import json
import threading

import pytest
from programs import becomes, marked, nothing_left, server, spec
from waiting import eventually

from reconciler import proc
from reconciler.core.outcome import TransientError
from reconciler.proc import ShimStatus


@pytest.fixture
def folder(tmp_path):
    with nothing_left(tmp_path):
        yield tmp_path / "instance"


def test_where_nothing_was_started_there_is_nothing_to_see_stop_or_remove(folder):
    assert proc.look(folder) is None
    proc.stop(folder)
    assert proc.remove(folder)
    assert proc.tail(folder) == ""
    assert not folder.exists()


def test_starting_twice_starts_once(folder):
    proc.start(folder, server())
    first = becomes(folder, "ready")
    proc.start(folder, server(id="test/other"))
    assert proc.look(folder) == first


def test_of_many_starters_at_once_one_starts(folder, tmp_path):
    starters = [threading.Thread(target=proc.start, args=(folder, server())) for _ in range(5)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    becomes(folder, "ready")
    assert len(marked(tmp_path)) == 2  # one shim, one program


def test_look_changes_nothing(folder):
    proc.start(folder, server())
    becomes(folder, "ready")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith("log")}
    proc.look(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith("log")} == before


def test_a_final_state_stays_readable_and_a_start_begins_anew(folder):
    proc.start(folder, server(argv=("no-such-command",)))
    becomes(folder, "failed")
    assert proc.look(folder).status is ShimStatus.FAILED
    proc.start(folder, server())
    assert becomes(folder, "ready").restarts == 0


def test_remove_ends_what_runs_and_forgets_it_but_for_its_logs(folder, tmp_path):
    proc.start(folder, server())
    becomes(folder, "ready")
    assert not proc.remove(folder)
    eventually(lambda: proc.remove(folder))
    assert proc.remove(folder)
    assert not marked(tmp_path)
    assert proc.look(folder) is None
    assert proc.tail(folder).startswith("listening")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "ready"}', json.dumps({"status": "dancing"})])
def test_a_state_that_cannot_be_understood_is_lost_and_can_be_removed(folder, content):
    proc.start(folder, spec("pass", restart=False))
    becomes(folder, "exited")
    (folder / "state.json").write_text(content)
    assert proc.look(folder).status is ShimStatus.LOST
    eventually(lambda: proc.remove(folder))


def test_the_environment_is_kept_from_other_users(folder):
    proc.start(folder, spec("pass", restart=False))
    becomes(folder, "exited")
    assert (folder / "spec.json").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_shim_that_cannot_start_is_told_with_its_last_words(folder):
    folder.mkdir()
    (folder / "state.json").mkdir()
    with pytest.raises(TransientError, match="ended at once"):
        proc.start(folder, server())
    (folder / "state.json").rmdir()


def test_the_tail_is_bounded_and_spans_a_rotation(folder):
    folder.mkdir()
    (folder / "log.1").write_text("one\ntwo\n")
    (folder / "log").write_bytes(b"three\n\xff\n")
    assert proc.tail(folder, lines=3) == "two\nthree\n�"
    assert proc.tail(folder, most=3) == "\n�"
