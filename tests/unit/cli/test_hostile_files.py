"""What may lie where manifests are read from: each is one named problem, at once, and disturbs nothing else."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from gitrepos import Link, Repo
from waiting import eventually
from worktrees import manifest

from reconciler.cli import files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "prodsprint.yaml").write_text(manifest("good", 8001))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(run, *words: str) -> list[tuple[str, str]]:
    """File and message of each; the good manifest has none."""
    shown = run("validate", *words, "-o", "json")
    found = [(one["file"], one["message"]) for one in json.loads(shown.out)]
    assert shown.code == (1 if found else 0)
    assert not any("good" in file for file, _ in found)
    return found


def test_a_named_pipe(run, folder):
    os.mkfifo(folder / "prodsprint.yaml")
    assert problems(run) == [("prodsprint.yaml", "is a named pipe; a manifest is a regular file")]
    assert problems(run, "prodsprint.yaml") == [("prodsprint.yaml", "is a named pipe; a manifest is a regular file")]


def test_a_socket(run, folder):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("prodsprint.yaml")
        assert problems(run) == [("prodsprint.yaml", "is a socket; a manifest is a regular file")]


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes devices")
def test_a_device(run, folder):
    try:
        os.mknod(folder / "prodsprint.yaml", 0o020600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("not even root makes devices here")
    assert problems(run) == [("prodsprint.yaml", "is a device; a manifest is a regular file")]


@pytest.mark.parametrize("target", ["good/prodsprint.yaml", "/dev/zero", "nowhere", "prodsprint.yaml", "good"])
def test_a_symbolic_link(run, folder, target):
    (folder / "prodsprint.yaml").symlink_to(target)
    assert problems(run) == [("prodsprint.yaml", "is a symbolic link; a manifest is a regular file")]


def test_folders_that_are_links_in_a_circle(run, folder):
    (folder / "good" / "up").symlink_to(folder)
    (folder / "self").symlink_to("self")
    assert problems(run) == []


def test_a_folder_with_the_name_of_a_manifest(run, folder):
    (folder / "prodsprint.yaml").mkdir()
    assert problems(run) == []


def test_another_repo_with_the_name_of_a_manifest(run, folder):
    (folder / "prodsprint.yaml" / ".git").mkdir(parents=True)
    assert problems(run) == [("prodsprint.yaml", "is a folder; a manifest is a regular file")]


def test_a_gibibyte(run, folder):
    with (folder / "prodsprint.yaml").open("wb") as file:
        file.truncate(1 << 30)
    assert problems(run) == [("prodsprint.yaml", f"has {1 << 30} bytes; a manifest has at most 1048576")]


def test_a_name_that_is_not_utf_8(run, folder):
    inner = os.fsencode(folder) + b"/\xff"
    os.mkdir(inner)  # noqa: PTH102  # bytes
    with open(inner + b"/prodsprint.yaml", "wb") as file:  # noqa: PTH123
        file.write(manifest("odd", 8009).encode())
    sentence = "has a name with control characters or that is not UTF-8"
    assert problems(run) == [("\\xff/prodsprint.yaml", sentence)]


def test_a_name_with_control_characters(run, folder):
    (folder / "\x1b[2J.prodsprint.yaml").write_text(manifest("odd", 8009))
    ((_, message),) = problems(run)
    assert message == "has a name with control characters or that is not UTF-8"
    assert "\x1b" not in run("validate").out


def test_a_file_that_always_changes(run, folder):
    path = folder / "prodsprint.yaml"
    path.write_text(manifest("odd", 8009))
    script = "import sys\nwhile True: open(sys.argv[1], 'a').write('# more\\n')"
    with subprocess.Popen([sys.executable, "-c", script, path]) as writer:
        try:
            size = path.stat().st_size
            eventually(lambda: path.stat().st_size > size, 10)
            reading = files.read([Path()])
        finally:
            writer.kill()
    (text,) = (reading.content.get("prodsprint.yaml", b""),)
    why = reading.refused.get("prodsprint.yaml", "")
    assert (text.startswith(b"apiVersion") and text.endswith(b"\n")) or "by somebody else" in why or "bytes" in why
    assert "good/prodsprint.yaml" in reading.content


def test_a_file_or_folder_that_may_not_be_read():
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # where anybody may look, unlike pytest's own
    try:
        folder.chmod(0o755)
        (folder / "a").mkdir()
        (folder / "a" / "prodsprint.yaml").write_text(manifest("a", 8001))
        (folder / "a" / "prodsprint.yaml").chmod(0)
        (folder / "b").mkdir(mode=0)
        os.seteuid(65534)
        try:
            reading = files.read([folder])
        finally:
            os.seteuid(0) if os.getuid() == 0 else None
    finally:
        shutil.rmtree(folder)
    words = "cannot be read: Permission denied"
    assert reading.refused == {f"{folder}/a/prodsprint.yaml": words, f"{folder}/b": words}


@pytest.fixture
def repo(tmp_path):
    return Repo(tmp_path / "bare.git")


def test_a_commit_with_a_link_a_submodule_and_odd_names(run, repo):
    good = repo.blob(manifest("good", 8001))
    inner = repo.raw_tree([(0o100644, b"prodsprint.yaml", good)])
    lines = [
        (0o040000, b"good", inner),
        (0o120000, b"a.prodsprint.yaml", repo.blob("/etc/passwd")),
        (0o160000, b"b.prodsprint.yaml", "1" * 40),
        (0o100644, b"\xff.prodsprint.yaml", good),
        (0o100644, b"prodsprint.yml", good),
        (0o100644, b"large.prodsprint.yaml", repo.blob(b"#" * (1 << 21))),
    ]
    repo.commit_tree(repo.raw_tree(lines))
    assert problems(run, "--rev", "main", repo.url) == [
        ("\\xff.prodsprint.yaml", "has a name with control characters or that is not UTF-8"),
        ("a.prodsprint.yaml", "is a symbolic link; a manifest is a regular file"),
        ("b.prodsprint.yaml", "is a submodule; a manifest is a regular file"),
        ("large.prodsprint.yaml", "has 2097152 bytes; a manifest has at most 1048576"),
        ("prodsprint.yml", "is not read; a manifest's name ends in prodsprint.yaml, in lower case"),
    ]


def test_a_commit_whose_folders_are_a_thousand_deep(run, repo):
    tree = repo.raw_tree([(0o100644, b"prodsprint.yaml", repo.blob(manifest("deep", 8001)))])
    for _ in range(1000):
        tree = repo.raw_tree([(0o040000, b"d", tree)])
    repo.commit_tree(tree)
    ((_, message),) = problems(run, "--rev", "main", repo.url)
    assert message == "lies deeper than 100 folders and is not read"


def test_a_repo_that_lacks_an_object(run, repo):
    repo.commit({"prodsprint.yaml": manifest("a", 8001), "b": Link("x")})
    blob = repo.blob(manifest("a", 8001))
    (repo.path / "objects" / blob[:2] / blob[2:]).unlink()
    shown = run("validate", "--rev", "main", repo.url)
    assert shown.code == 1
    assert "cannot be read" in shown.err
    assert "Traceback" not in shown.err
