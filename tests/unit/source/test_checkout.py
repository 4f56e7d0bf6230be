from __future__ import annotations

from pathlib import Path

import pytest
from gitrepos import Link, Repo, Tool

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source import checkout
from reconciler.source.git import Mirrors
from reconciler.source.trees import Limits

FILE, FOLDER, LINK, MODULE = 0o100644, 0o040000, 0o120000, 0o160000


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "service.git")


def write(repo: Repo, tree: str, into: Path, limits: Limits | None = None) -> None:
    checkout.write(repo.git, tree, into, limits or Limits())


def test_tree_is_written_byte_for_byte_without_filters_or_submodules(repo: Repo, tmp_path: Path) -> None:
    inner = repo.tree({"file": "inner"})
    tree = repo.raw_tree([
        (FILE, b".gitattributes", repo.blob("* text eol=crlf ident filter=lfs export-ignore")),
        (FILE, b"id", repo.blob("$Id$\r\nx\n")),
        (0o100755, b"run", repo.blob("#!/bin/sh")),
        (FOLDER, b"inner", inner),
        (FILE, "sm\u00f8rrebr\u00f8d".encode(), repo.blob("")),
        (FILE, b"bytes\xff", repo.blob("raw")),
        (MODULE, b"module", "1" * 40),
        (LINK, b"link", repo.blob("inner/file")),
    ])  # fmt: skip
    write(repo, tree, tmp_path / "deep" / "out")
    out = tmp_path / "deep" / "out"
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [".gitattributes", "id", "run", "inner", "sm\u00f8rrebr\u00f8d", "bytes\udcff", "link"]
    )
    assert (out / "id").read_bytes() == b"$Id$\r\nx\n"
    assert (out / "run").stat().st_mode & 0o777 == 0o755
    assert (out / "id").stat().st_mode & 0o777 == 0o644
    assert (out / "link").read_text() == "inner"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize(
    "name",
    [
        b"..",
        b".",
        b"",
        b"../x",
        b"/etc/x",
        b"a/b",
        b"a\\b",
        b".git",
        b".GIT",
        b".Git",
        b".git.",
        b".git ",
        b"git~1",
        b"GIT~12",
        b".git::$INDEX_ALLOCATION",
        ".g\u200cit".encode(),
        "\uff0egit".encode(),
        b"x" * 256,
    ],
)
@pytest.mark.parametrize("mode", [FILE, FOLDER, LINK])
def test_unsafe_names_are_refused_and_leave_nothing(name: bytes, mode: int, repo: Repo, tmp_path: Path) -> None:
    oid = repo.tree({"config": "x"}) if mode == FOLDER else repo.blob("x")
    inner = repo.raw_tree([(FILE, b"before", repo.blob("x")), (mode, name, oid)])
    (tmp_path / "work").mkdir()
    for tree in (inner, repo.raw_tree([(FOLDER, b"d", inner)])):
        with pytest.raises(TerminalError, match="unsafe entry"):
            write(repo, tree, tmp_path / "work" / "out")
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "d/../x",
        "./../x",
        "",
        "x\0y",
        "../../d/x",
        "\\\\server\\share",
        "x/" * 2100 + "x",
    ],
)
def test_links_that_may_leave_the_tree_are_refused(target: str, repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="may leave it"):
        write(repo, repo.tree({"l": Link(target), "d/x": "x"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_inside_the_tree_are_kept(repo: Repo, tmp_path: Path) -> None:
    write(
        repo,
        repo.tree({"d/e/l": Link("../../x"), "m": Link("d//./e/l"), "x": "deep", "self": Link(".")}),
        tmp_path / "out",
    )
    assert (tmp_path / "out/m").read_text() == "deep"
    assert (tmp_path / "out/d/e/l").is_symlink()


def test_no_file_is_written_through_a_link(repo: Repo, tmp_path: Path) -> None:
    folder = repo.tree({"f": "x"})
    tree = repo.raw_tree([(LINK, b"d", repo.blob("elsewhere")), (FOLDER, b"d", folder)])
    with pytest.raises(TerminalError, match="appears twice"):
        write(repo, tree, tmp_path / "out")


def test_odd_modes_are_refused(repo: Repo, tmp_path: Path) -> None:
    for mode in (0, 0o100000, 0o010644, 0o060644, 0o104755):
        with pytest.raises(TerminalError, match="file mode"):
            write(repo, repo.raw_tree([(mode, b"f", repo.blob("x"))]), tmp_path / "out")


def test_files_bytes_and_depth_are_limited_before_anything_large_is_read(repo: Repo, tmp_path: Path) -> None:
    tree = repo.tree({"a": "x" * 1000, "b": Tool("y")})
    with pytest.raises(TerminalError, match="more than 1 entries"):
        write(repo, tree, tmp_path / "out", Limits(files=1))
    with pytest.raises(TerminalError, match="larger than 500 bytes"):
        write(repo, tree, tmp_path / "out", Limits(bytes=500))
    for _ in range(20):
        tree = repo.raw_tree([(FOLDER, f"d{number}".encode(), tree) for number in range(10)])
    with pytest.raises(TerminalError, match="more than 2000 entries"):
        write(repo, tree, tmp_path / "out", Limits(files=2000))
    with pytest.raises(TerminalError, match="deeper than 5"):
        write(repo, tree, tmp_path / "out", Limits(depth=5))
    assert not (tmp_path / "out").exists()


def test_existing_folder_missing_object_and_full_disk(repo: Repo, tmp_path: Path) -> None:
    tree = repo.tree({"a": "x"})
    write(repo, tree, tmp_path / "out")
    with pytest.raises(TerminalError, match="exists already"):
        write(repo, tree, tmp_path / "out")
    with pytest.raises(TerminalError, match="lacks the object of 'gone'"):
        write(repo, repo.raw_tree([(FILE, b"gone", "1" * 40)]), tmp_path / "new")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TransientError, match="cannot write"):
        write(repo, tree, tmp_path / "file" / "out")


def test_what_a_killed_checkout_left_is_removed_by_the_next(repo: Repo, tmp_path: Path) -> None:
    left, other = tmp_path / "work" / ".out.checkout.1.abc", tmp_path / "work" / ".out2.checkout.1.abc"
    for folder in (left, other):
        (folder / "tree").mkdir(parents=True)
    write(repo, repo.tree({"a": "x"}), tmp_path / "work" / "out")
    assert not left.exists()
    assert other.exists()


def test_unknown_revision_and_unknown_repo_are_terminal(repo: Repo, tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path / "mirrors")
    with pytest.raises(TerminalError, match="never been fetched"):
        mirrors.checkout(repo.url, "1" * 40, tmp_path / "out")
    commit = repo.commit({"a": "1"})
    mirrors.fetch(repo.url)
    for revision in ("1" * 40, "main", commit[:12]):
        with pytest.raises(TerminalError, match="holds no commit"):
            mirrors.checkout(repo.url, revision, tmp_path / "out")
