from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from waiting import eventually

from reconciler.core.desired import Instant, Key
from reconciler.core.observed import Counters, Reading, Tick
from reconciler.core.outcome import StaleGenerationError, TerminalError, TransientError
from reconciler.core.state import KeyState, Record
from reconciler.ports import Transition
from reconciler.store import open_store

KEY = Key("acme", "shop", "prod")
NOBODY = 65534


def transition(revision, key=KEY, size=100):
    record = Record("test.step", "daemon", f"no. {revision}")
    return Transition(KeyState(key, revision), (record,), (), 1.0, os.urandom(size // 2).hex())


def look(seq):
    return Tick(1, seq, 0, 0, Reading(Instant(1.0, 1.0, "boot"), Counters("e", seq, seq, 0)))


def fill(store, size=20_000):
    """Commit until there is no room, and return the last revision that was acknowledged."""
    acknowledged = [store.load(KEY).revision]

    def commit_on():
        while True:
            store.commit(transition(acknowledged[-1] + 1, size=size))
            acknowledged.append(acknowledged[-1] + 1)

    with pytest.raises(TransientError, match=r"no room: the disk is full\. Free some space"):
        commit_on()
    return acknowledged[-1]


def whole(store, revision):
    assert store.load(KEY).revision == revision
    assert store.head() == revision
    assert [report.fault for report in store.verify()] == [""]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("may not mount a file system here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_transient_and_loses_nothing(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    store = open_store(small_disk / "prodsprint.db")
    last = fill(store)
    whole(store, last)
    store.append(KEY, (look(1),))
    assert store.ticks(KEY, 1) == (look(1),)
    ballast.unlink()
    store.commit(transition(last + 1))
    whole(store, last + 1)
    store.close()
    with closing(open_store(small_disk / "prodsprint.db")) as again:
        whole(again, last + 1)
        assert again.ticks(KEY, 1) == (look(1),)


def test_no_room_for_a_new_file_is_transient(small_disk):
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(3_000_000))
    with pytest.raises(TransientError, match="no room"):
        open_store(small_disk / "prodsprint.db")


@contextmanager
def limited(store, pages):
    """Let the database grow to that many pages."""

    def limit(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    event.listen(store._database._engine, "begin", limit)
    yield
    event.remove(store._database._engine, "begin", limit)
    event.listen(store._database._engine, "begin", lambda c: c.exec_driver_sql("PRAGMA max_page_count=1000000"))


def test_a_full_database_refuses_large_writes_of_a_group_and_takes_small_ones(tmp_path):
    with closing(open_store(tmp_path / "prodsprint.db")) as store:
        store.commit(transition(1))
        outcomes = {}

        def write(key, size):
            try:
                store.commit(transition(1, key, size))
                outcomes[key] = "written"
            except TransientError as error:
                outcomes[key] = str(error)

        first, small, large = (Key("acme", "shop", name) for name in ("first", "small", "large"))
        with limited(store, 60):
            blocker = sqlite3.connect(tmp_path / "prodsprint.db", isolation_level=None)
            blocker.execute("BEGIN IMMEDIATE")  # the first waits for this; the others line up behind it, as one group
            threads = [threading.Thread(target=write, args=(first, 10))]
            threads[0].start()
            eventually(lambda: store._group._led)
            threads += [threading.Thread(target=write, args=pair) for pair in ((small, 10), (large, 900_000))]
            for thread in threads[1:]:
                thread.start()
            eventually(lambda: len(store._group._line) == 2)
            blocker.execute("ROLLBACK")
            blocker.close()
            for thread in threads:
                thread.join(30)
            assert "no room" in outcomes[large]
            assert outcomes[small] == "written"
            last = fill(store)
        assert store.load(KEY).revision == last
        store.commit(transition(last + 1))
        assert set(store.keys()) == {KEY, first, small}
        assert [report.fault for report in store.verify()] == [""]


def test_ticks_that_found_no_room_wait_and_are_written_later(tmp_path):
    with closing(open_store(tmp_path / "prodsprint.db")) as store:
        with limited(store, 60):
            last = fill(store, 4000)
            ticks = tuple(look(seq) for seq in range(1, 1001))
            store.append(KEY, ticks)
            with pytest.raises(TransientError, match="no room"):
                store.flush()
            with pytest.raises(TransientError, match="no room"):
                store.append(KEY, (look(1001),))  # memory is bounded too
            assert store.ticks(KEY, 1) == ticks
        store.commit(transition(last + 1))
        assert len(store._ticks) == 0
        assert store.ticks(KEY, 1) == ticks


@contextmanager
def unprivileged(folder, read_only):
    """Root may write anything: be nobody for a moment, who owns the folder. Any other user stays as it is."""
    privileged = os.access(read_only, os.W_OK)
    if privileged:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)


@pytest.fixture
def folder():
    """A folder that nobody can reach too, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="prodsprint-test-"))
    yield made
    made.chmod(0o700)
    shutil.rmtree(made)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_written_is_terminal_and_says_what_to_do(folder, what):
    path = folder / "prodsprint.db"
    with closing(open_store(path)) as store:
        store.commit(transition(1))
    read_only = path if what == "file" else folder
    read_only.chmod(0o400 if what == "file" else 0o500)
    with unprivileged(folder, read_only):
        refused = pytest.raises(TerminalError, match=r"prodsprint\.db cannot be .*writable for this user")
        with refused, closing(open_store(path)) as store:
            store.commit(transition(2))
        folder.chmod(0o700)
        path.chmod(0o600)
        with closing(open_store(path)) as store:
            store.commit(transition(2))
            whole(store, 2)


def test_a_folder_that_does_not_exist_is_terminal(tmp_path):
    with pytest.raises(TerminalError, match=r"nowhere/prodsprint\.db cannot be opened\. The folder has to exist"):
        open_store(tmp_path / "nowhere" / "prodsprint.db")


def test_a_folder_in_the_place_of_the_file_is_terminal(tmp_path):
    with pytest.raises(TerminalError, match="cannot be opened"):
        open_store(tmp_path)


def test_a_file_that_is_no_database_is_terminal_and_left_alone(tmp_path):
    path = tmp_path / "prodsprint.db"
    path.write_text("dear diary, " * 1000)
    with pytest.raises(TerminalError, match="is damaged"):
        open_store(path)
    assert path.read_text().startswith("dear diary")


def test_a_lock_of_another_process_is_transient_for_writers_and_nothing_for_readers(tmp_path):
    path = tmp_path / "prodsprint.db"
    with closing(open_store(path, patience=0.05)) as store:
        store.commit(transition(1))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match=r"prodsprint\.db is locked by another process\. Find it with: fuser"):
            store.commit(transition(2))
        whole(store, 1)
        other.execute("ROLLBACK")
        other.close()
        store.commit(transition(2))
        whole(store, 2)


def test_a_file_in_exclusive_use_cannot_be_opened_now(tmp_path):
    path = tmp_path / "prodsprint.db"
    open_store(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TransientError, match="is locked by another process"):
        open_store(path, patience=0.05)
    other.close()
    with closing(open_store(path)) as store:
        store.commit(transition(1))


def test_two_processes_on_one_file_never_overwrite_each_other(tmp_path):
    path = tmp_path / "prodsprint.db"
    with closing(open_store(path)) as one, closing(open_store(path)) as two:
        one.commit(transition(1))
        with pytest.raises(StaleGenerationError):
            two.commit(transition(1))
        two.commit(transition(2))
        one.commit(transition(3))
        whole(one, 3)
        whole(two, 3)


def test_a_missing_table_is_terminal(tmp_path):
    path = tmp_path / "prodsprint.db"
    with closing(open_store(path)) as store:
        other = sqlite3.connect(path)
        other.execute("DROP TABLE requests")
        other.close()
        with pytest.raises(TerminalError, match=r"prodsprint\.db refused a statement .*requests"):
            store.requests(KEY)


def test_text_that_is_no_unicode_is_damage(tmp_path):
    path = tmp_path / "prodsprint.db"
    with closing(open_store(path)) as store:
        store.commit(transition(1))
        other = sqlite3.connect(path)
        other.execute("UPDATE states SET state = CAST(x'ff' AS TEXT)")
        other.commit()
        other.close()
        with pytest.raises(TerminalError, match="is damaged"):
            store.load(KEY)
