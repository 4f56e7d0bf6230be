from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.core.desired import Key
from reconciler.core.state import KeyState, Record
from reconciler.ports import Transition
from reconciler.store import open_store

DOCS = Path(__file__).parents[3] / "docs" / "audit.md"
COPY = "seq, at, actor, key, generation, type, message, body, previous, hash"


@pytest.fixture
def path(tmp_path):
    """A store with ten entries in each of two workspaces, the first of every ten with odd text."""
    where = tmp_path / "prodsprint.db"
    with closing(open_store(where, ("log",))) as store:
        for revision in range(1, 11):
            for workspace in ("acme", "zoo"):
                state = KeyState(Key(workspace, "shop", "prod"), revision, generation=revision)
                record = Record(
                    "test.step", "ann", f'no. {revision}: "ü" \\ \n' if revision == 1 else "step", '{"a":[1]}'
                )
                store.commit(Transition(state, (record,), (), revision + 0.123456789, "{}"))
    return where


def tamper(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()


def reports(path):
    with closing(open_store(path)) as store:
        return {report.workspace: (report.entries, report.fault) for report in store.verify()}


GOOD = (10, "")
FAULTS = {
    "an edit": (
        ["UPDATE audit SET message = 'nothing' WHERE workspace = 'acme' AND seq = 4"],
        3,
        "entry 4 was changed",
    ),
    "an edited time": (["UPDATE audit SET at = at + 1 WHERE workspace = 'acme' AND seq = 4"], 3, "entry 4 was changed"),
    "an edited hash": (["UPDATE audit SET hash = lower(hex(randomblob(32))) WHERE id = 7"], 3, "entry 4 was changed"),
    "a deletion": (["DELETE FROM audit WHERE workspace = 'acme' AND seq = 4"], 3, "entry 4 is missing"),
    "a cut tail": (
        ["DELETE FROM audit WHERE workspace = 'acme' AND seq > 7"],
        7,
        "the last 3 of 10 entries are missing",
    ),
    "a lost chain": (["DELETE FROM audit WHERE workspace = 'acme'"], 0, "the last 10 of 10 entries are missing"),
    "reordering": (
        [
            "UPDATE audit SET seq = 99 WHERE workspace = 'acme' AND seq = 4",
            "UPDATE audit SET seq = 4 WHERE workspace = 'acme' AND seq = 5",
            "UPDATE audit SET seq = 5 WHERE workspace = 'acme' AND seq = 99",
        ],
        3,
        "entry 4 does not continue entry 3",
    ),
    "exchanged ids": (
        [
            "UPDATE audit SET id = 99 WHERE id = 7",
            "UPDATE audit SET id = 7 WHERE id = 9",
            "UPDATE audit SET id = 9 WHERE id = 99",
        ],
        4,
        "entry 5 was moved",
    ),
    "an insertion": (
        [
            "UPDATE audit SET seq = -seq - 1 WHERE workspace = 'acme' AND seq > 4",
            "UPDATE audit SET seq = -seq WHERE workspace = 'acme' AND seq < 0",
            f"INSERT INTO audit SELECT 99, workspace, 5, {COPY.removeprefix('seq, ')} FROM audit WHERE id = 7",
        ],
        4,
        "entry 5 does not continue entry 4",
    ),
    "an entry behind the head": (
        [f"INSERT INTO audit SELECT 99, workspace, 11, {COPY.removeprefix('seq, ')} FROM audit WHERE id = 7"],
        10,
        "entry 11 does not continue entry 10",
    ),
    "a lost head": (["DELETE FROM chains WHERE workspace = 'acme'"], 10, "entries after 0 were added behind the head"),
    "an edited head": (["UPDATE chains SET hash = 'x' WHERE workspace = 'acme'"], 10, "the head names another hash"),
}


def test_an_untouched_file_verifies(path):
    assert reports(path) == {"acme": GOOD, "zoo": GOOD}


@pytest.mark.parametrize("what", FAULTS)
def test_tampering_is_found_in_its_workspace_alone(path, what):
    statements, good, fault = FAULTS[what]
    tamper(path, "DELETE FROM deliveries", *statements)
    found = reports(path)
    assert found["acme"][0] == good
    assert found["acme"][1].startswith(fault)
    assert found["zoo"] == GOOD


def test_a_workspace_deleted_with_its_head_is_missed_in_the_total(path):
    tamper(
        path,
        "DELETE FROM deliveries",
        "DELETE FROM audit WHERE workspace = 'acme'",
        "DELETE FROM chains WHERE seq = 10",
    )
    tamper(path, "INSERT INTO chains SELECT workspace, seq, hash FROM audit WHERE id = 20")
    assert reports(path) == {
        "zoo": GOOD,
        "": (10, "20 entries were written in all workspaces together, 10 are there"),
    }


def test_a_new_entry_does_not_hide_an_old_fault(path):
    tamper(path, "UPDATE audit SET message = 'nothing' WHERE workspace = 'acme' AND seq = 4")
    with closing(open_store(path)) as store:
        record = Record("test.step", "ann", "later")
        store.commit(Transition(KeyState(Key("acme", "shop", "prod"), 11), (record,), (), 11.0, "{}"))
    assert reports(path)["acme"][1].startswith("entry 4 was changed")


def documented(path):
    """Run the program that the documentation shows."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    return subprocess.run([sys.executable, "-I", "-c", program, path], capture_output=True, text=True, check=False)


def test_the_documented_program_agrees(path):
    with closing(open_store(path)) as store:
        expected = [f"{report.workspace} {report.entries} {report.head}" for report in store.verify()]
    done = documented(path)
    assert (done.stdout.splitlines(), done.stderr) == (expected, "")


@pytest.mark.parametrize("what", ["an edit", "a deletion", "reordering", "an insertion"])
def test_the_documented_program_finds_the_same_faults(path, what):
    tamper(path, "DELETE FROM deliveries", *FAULTS[what][0])
    done = documented(path)
    assert re.match(r"acme: entry \d+ does not fit", done.stderr)
    assert done.returncode == 1
