"""Many manifests are drafted by several processes, and no file costs another one anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from manifest_samples import edited, project
from waiting import eventually

from reconciler.manifest import draft_process, drafter
from reconciler.manifest.draft import draft_file
from reconciler.manifest.drafter import FEW, Drafter
from reconciler.manifest.load import MAX_BYTES
from reconciler.manifest.problem import Code
from reconciler.manifest.recordcodec import decode

HOSTILE = """
import json, os, signal, sys
sys.path[:] = json.loads(sys.stdin.buffer.readline())
from reconciler.manifest import draft_worker
draft_worker.DEADLINE = 0.2
honest = draft_worker.draft_file
def hostile(path, blob, content, layers):
    if b"kill" in content:
        os.kill(os.getpid(), signal.SIGSEGV)
    while b"hang" in content:
        pass
    if b"eat" in content:
        b" " * (2 << 30)
    if b"stop" in content:
        os.kill(os.getpid(), signal.SIGSTOP)
    if b"exit" in content:
        os._exit(3)
    return honest(path, blob, content, layers)
draft_worker.draft_file = hostile
draft_worker.main()
"""


def files(count: int, **odd: str):
    for index in range(count):
        yield f"p{index}.prodsprint.yaml", f"blob{index}", project(f"p{index}", 1 + index).encode()
    for name, text in odd.items():
        yield f"{name}.prodsprint.yaml", name, text.encode()


def drafted(workers: int | None, given):
    return {one.path: one for one in Drafter(workers).draft(given)}


def children() -> set[int]:
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def lives(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path("/proc", pid, "status").read_text()
    except OSError:
        return False


def test_here_and_there_say_the_same():
    given = list(files(FEW, odd="nonsense: [", large="x" * (MAX_BYTES + 1), café=edited(("hello\n", "Hé\n"))))
    there, here = drafted(2, given), drafted(0, given)
    assert there == here
    assert len(there) == FEW + 3
    for path, blob, content in given:
        assert there[path].draft == draft_file(path, blob, content)
        assert decode(path, blob, there[path].record) == there[path].draft


def test_a_few_files_start_no_process(monkeypatch):
    monkeypatch.setattr(draft_process, "START", "not python")
    assert len(drafted(2, files(FEW - 1))) == FEW - 1


def test_no_process_is_left_behind():
    before = children()
    assert len(drafted(2, files(FEW))) == FEW
    assert children() == before


def test_whoever_stops_asking_leaves_no_process_behind():
    before = children()
    asking = Drafter(2).draft(files(2000))
    next(asking)
    assert len(children() - before) == 2
    asking.close()
    assert children() == before


def test_files_are_taken_as_they_are_needed():
    taken = 0

    def counted():
        nonlocal taken
        for file in files(100_000):
            taken += 1
            yield file

    asking = Drafter(2).draft(counted())
    next(asking)
    asking.close()
    assert taken < 2000


@pytest.mark.parametrize(
    ("how", "why"),
    [("kill", "SIGSEGV"), ("exit", "status 3"), ("hang", "takes more than")],
)
def test_a_file_that_ends_its_reader_costs_only_itself(monkeypatch, how, why):
    monkeypatch.setattr(draft_process, "START", HOSTILE)
    found = drafted(2, files(2 * FEW, bad=how, worse=f"{how} again"))
    assert len(found) == 2 * FEW + 2
    for name in ("bad", "worse"):
        (problem,) = found[f"{name}.prodsprint.yaml"].draft.problems
        assert problem.code is Code.FILE_REFUSED
        assert why in problem.message
        assert found[f"{name}.prodsprint.yaml"].draft.lost
        assert found[f"{name}.prodsprint.yaml"].record == b""
    assert not any(one.draft.problems for path, one in found.items() if path.startswith("p"))


def test_a_file_that_eats_memory_costs_only_itself(monkeypatch, capfd):
    monkeypatch.setattr(draft_process, "START", HOSTILE)
    found = drafted(2, files(FEW, bad="eat"))
    (problem,) = found["bad.prodsprint.yaml"].draft.problems
    assert "an error in ProdSprint" in problem.message
    assert found["bad.prodsprint.yaml"].record == b""
    assert sum(bool(one.draft.problems) for one in found.values()) == 1
    assert "MemoryError" in capfd.readouterr().err


def test_a_reader_that_was_stopped_is_given_up(monkeypatch):
    monkeypatch.setattr(draft_process, "START", HOSTILE)
    monkeypatch.setattr(drafter, "SILENCE", 1.5)
    monkeypatch.setattr(drafter, "FEW", 3)
    found = drafted(1, files(3, bad="stop"))
    assert [path for path, one in found.items() if one.draft.problems] == ["bad.prodsprint.yaml"]


@pytest.mark.parametrize("start", ["raise SystemExit(1)", "not python", "import os; os.kill(os.getpid(), 9)"])
def test_where_no_reader_can_start_everything_is_read_here(monkeypatch, capfd, start):
    monkeypatch.setattr(draft_process, "START", start)
    assert len(drafted(2, files(FEW))) == FEW


def test_where_no_process_can_be_made_everything_is_read_here(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert len(drafted(2, files(FEW))) == FEW


def test_a_reader_that_says_something_else_is_replaced(monkeypatch):
    babbling = HOSTILE.replace(
        "draft_worker.main()", "draft_worker.encode = lambda path, draft: b'no record'\ndraft_worker.main()"
    )
    monkeypatch.setattr(draft_process, "START", babbling)
    monkeypatch.setattr(drafter, "FEW", 3)
    found = drafted(1, files(3))
    assert ["SIGKILL" in str(one.draft.problems) for one in found.values()] == [True] * 3


def test_readers_end_with_their_parent(tmp_path):
    program = tmp_path / "parent.py"
    program.write_text(
        "import os, pathlib\n"
        "from reconciler.manifest.drafter import Drafter\n"
        "files = ((f'{i}.yaml', str(i), b'kind: Project') for i in range(10**6))\n"
        "asking = Drafter(2).draft(files)\n"
        "next(asking)\n"
        "print(pathlib.Path('/proc/self/task', str(os.getpid()), 'children').read_text(), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = Path(drafter.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, program],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    pids = done.stdout.split()
    assert len(pids) == 2, done.stderr
    eventually(lambda: not any(lives(pid) for pid in pids), what="the readers end")


def test_readers_get_no_environment_and_no_files(monkeypatch):
    monkeypatch.setenv("PRODSPRINT_TOKEN", "hunter2")
    before = children()
    asking = Drafter(1).draft(files(2000))
    next(asking)
    (pid,) = children() - before
    assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    assert sorted(int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()) == [0, 1, 2, 3]
    asking.close()
