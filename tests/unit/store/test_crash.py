from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError
from reconciler.core.state import KeyState, Record
from reconciler.ports import Transition
from reconciler.store import open_store

WRITER = Path(__file__).with_name("killed_writer.py")


def killed(path, lines):
    """Let the writer work until it has said that many lines, kill it, and return all that it said."""
    with subprocess.Popen([sys.executable, WRITER, path], stdout=subprocess.PIPE, text=True) as process:
        try:
            heard = [process.stdout.readline() for _ in range(lines)]
        finally:
            process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines(keepends=True)
    return [line.split() for line in heard + rest if line.endswith("\n")]


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path):
    path = tmp_path / "prodsprint.db"
    revisions, asked = {}, []
    for lines in (1, 40, 160):  # each starts from what the one before left behind
        for verb, key, number in killed(path, lines):
            if verb == "commit":
                revisions[Key.parse(key)] = int(number)
            else:
                asked.append((key, int(number)))
    assert len(asked) > 50
    with closing(open_store(path, ("log",))) as store:
        for key, revision in revisions.items():
            state = store.load(key)
            assert state.revision == state.attempts >= revision
            assert [tick.seq for tick in store.ticks(key, 1)] == list(range(1, state.revision + 1))
            ids = {request.id for request in store.requests(key)}
            assert ids >= {number for name, number in asked if name == str(key)}
            steps = [entry.message for entry in store.events(0, 100_000, key=str(key)) if entry.type == "test.step"]
            assert [int(step.split(".")[1]) for step in steps] == list(range(1, state.revision + 1))
        assert [report.fault for report in store.verify()] == [""]
        assert len(store.due(1e12, 100_000)) == store.head()


KEY = Key("acme", "shop", "prod")


def commit(store, count):
    state = store.load(KEY)
    for revision in range(state.revision + 1, state.revision + count + 1):
        record = Record("test.step", "daemon", f"no. {revision}")
        store.commit(Transition(KeyState(KEY, revision), (record,), (), 1.0, "{}"))


@pytest.fixture
def crashed(tmp_path):
    """The files of a store with 20 commits in its log, as a power failure leaves them."""
    alive = open_store(tmp_path / "alive.db")
    commit(alive, 20)
    for ending in ("", "-wal"):
        shutil.copy(tmp_path / f"alive.db{ending}", tmp_path / f"crashed.db{ending}")
    alive.close()
    return tmp_path / "crashed.db"


def test_commits_that_are_only_in_the_log_are_there(crashed):
    with closing(open_store(crashed)) as store:
        assert store.load(KEY).revision == 20
        assert [(report.entries, report.fault) for report in store.verify()] == [(20, "")]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_cut_log_leaves_whole_commits_only(crashed, share):
    log = crashed.with_name("crashed.db-wal")
    os.truncate(log, int(log.stat().st_size * share))
    with closing(open_store(crashed)) as store:
        revision = store.load(KEY).revision
        assert revision < 20
        assert store.head() == revision
        assert all(report.fault == "" for report in store.verify())
        commit(store, 3)
        assert store.load(KEY).revision == revision + 3


def test_a_log_with_changed_bytes_ends_before_them(crashed):
    log = crashed.with_name("crashed.db-wal")
    with log.open("r+b") as file:
        file.seek(log.stat().st_size // 2)
        file.write(os.urandom(64))
    with closing(open_store(crashed)) as store:
        assert store.load(KEY).revision == store.head() < 20
        assert all(report.fault == "" for report in store.verify())


def test_a_destroyed_header_is_a_clear_error(crashed):
    crashed.with_name("crashed.db-wal").unlink()
    with crashed.open("r+b") as file:
        file.write(os.urandom(100))
    with pytest.raises(TerminalError, match=r"crashed\.db is damaged\. Stop the daemon, keep a copy.*\.recover"):
        open_store(crashed)


def test_destroyed_pages_are_a_clear_error_and_others_are_read(tmp_path):
    path = tmp_path / "prodsprint.db"
    with closing(open_store(path)) as store:
        commit(store, 400)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size * 5 // 8 // 4096 * 4096)
        file.write(b"\xff" * (size // 4))
    with closing(open_store(path)) as store:
        assert store.load(KEY).revision == 400
        with pytest.raises(TerminalError, match=r"prodsprint\.db is damaged"):
            store.verify()


def test_a_file_cut_in_half_is_a_clear_error(tmp_path):
    path = tmp_path / "prodsprint.db"
    with closing(open_store(path)) as store:
        commit(store, 100)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(TerminalError, match=r"prodsprint\.db is damaged"), closing(open_store(path)) as store:
        store.verify()
