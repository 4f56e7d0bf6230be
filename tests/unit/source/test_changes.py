from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gitrepos import Link, Repo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pygit2.enums import ObjectType

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source import trees
from reconciler.source.address import parse
from reconciler.source.changes import Change, Differ, Tallies
from reconciler.source.git import Mirrors
from reconciler.source.treediff import differing
from reconciler.source.trees import Limits, Walk
from reconciler.source.trouble import ForgottenError

FILE, FOLDER, LINK = 0o100644, 0o040000, 0o120000


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "config.git")


@pytest.fixture
def mirrors(repo: Repo, tmp_path: Path) -> Iterator[Mirrors]:
    repo.commit({"README.md": "first"})
    with closing(Mirrors(tmp_path / "mirrors")) as found:
        found.fetch(repo.url)
        yield found


def seen(repo: Repo, mirrors: Mirrors, before: str | None, commit: str) -> dict[str, Change]:
    mirrors.fetch(repo.url)
    found = mirrors.changes(repo.url, before, commit)
    assert len({change.path for change in found}) == len(found)
    return {change.path: change for change in found}


def applied(held: dict[str, Change], changes: tuple[Change, ...]) -> None:
    """Bring what is known up to date, as ``Change`` says."""
    told = {change.path for change in changes}
    for change in changes:
        old = held.pop(change.path, Change(""))
        if change.blob or change.why:
            held[change.path] = change
        elif old.why:
            for path in [path for path in held if path.startswith(f"{change.path}/") and path not in told]:
                del held[path]


def test_added_changed_moved_and_removed_manifests_are_told_and_nothing_else(repo: Repo, mirrors: Mirrors) -> None:
    base = {"a/prodsprint.yaml": "1", "b/prodsprint.yaml": "2", "c/d/x.prodsprint.yaml": "3", "README.md": "x"}
    first = repo.commit(base)
    found = seen(repo, mirrors, None, first)
    assert {path: change.blob for path, change in found.items()} == {
        path: repo.blob(text) for path, text in base.items() if path != "README.md"
    }
    second = repo.commit({**base, "a/prodsprint.yaml": "new", "README.md": "y"})
    assert seen(repo, mirrors, first, second) == {"a/prodsprint.yaml": Change("a/prodsprint.yaml", repo.blob("new"))}
    third = repo.commit({"e/prodsprint.yaml": "2", "c/d/x.prodsprint.yaml": "3", "README.md": "y"})
    assert seen(repo, mirrors, second, third) == {
        "a/prodsprint.yaml": Change("a/prodsprint.yaml"),
        "b/prodsprint.yaml": Change("b/prodsprint.yaml"),
        "e/prodsprint.yaml": Change("e/prodsprint.yaml", repo.blob("2")),
    }
    assert seen(repo, mirrors, third, third) == {}
    assert seen(repo, mirrors, third, first).keys() == {"a/prodsprint.yaml", "b/prodsprint.yaml", "e/prodsprint.yaml"}
    read = dict(mirrors.contents(repo.url, [repo.blob("new"), repo.blob("3")]))
    assert read == {repo.blob("new"): b"new", repo.blob("3"): b"3"}


def test_a_file_that_becomes_refused_and_back(repo: Repo, mirrors: Mirrors) -> None:
    fine = repo.commit({"a.prodsprint.yaml": "1", "b.prodsprint.yaml": "1"})
    link = repo.commit({"a.prodsprint.yaml": Link("b.prodsprint.yaml"), "b.prodsprint.yaml": "1"})
    found = seen(repo, mirrors, fine, link)
    assert found["a.prodsprint.yaml"].why.startswith("is a symbolic link")
    assert (found["a.prodsprint.yaml"].blob, len(found)) == ("", 1)
    assert seen(repo, mirrors, link, fine) == {"a.prodsprint.yaml": Change("a.prodsprint.yaml", repo.blob("1"))}
    gone = repo.commit({"b.prodsprint.yaml": "1"})
    assert seen(repo, mirrors, link, gone) == {"a.prodsprint.yaml": Change("a.prodsprint.yaml")}


def test_what_lies_below_a_refused_folder_is_left_as_it_was(repo: Repo, mirrors: Mirrors) -> None:
    team = repo.tree({"x.prodsprint.yaml": "1", "y.prodsprint.yaml": "2"})
    broken = str(repo.git.odb.write(ObjectType.TREE, b"no tree"))
    other = repo.tree({"prodsprint.yaml": "3"})
    first = repo.commit_tree(repo.raw_tree([(FOLDER, b"team", team), (FOLDER, b"other", other)]))
    assert len(seen(repo, mirrors, None, first)) == 3
    changed = repo.tree({"prodsprint.yaml": "4"})
    odd = repo.git.create_commit(
        None,
        *[repo.git[first].author] * 2,
        "x",
        repo.raw_tree([(FOLDER, b"team", broken), (FOLDER, b"other", changed)]),
        [first],
    )
    differ = Differ(repo.git, Limits(), Tallies(repo.path))
    found = differ.changes(first, str(odd))
    assert {change.path for change in found} == {"team", "other/prodsprint.yaml"}
    assert "malformed" in {change.path: change.why for change in found}["team"]
    back = {change.path: change for change in differ.changes(str(odd), first)}
    assert back["team"] == Change("team")
    assert back.keys() == {"team", "team/x.prodsprint.yaml", "team/y.prodsprint.yaml", "other/prodsprint.yaml"}


def test_an_empty_commit_differs_from_one_that_cannot_be_read(repo: Repo, mirrors: Mirrors) -> None:
    empty = repo.commit_tree(repo.raw_tree([]))
    none = repo.commit({"README.md": "x"})
    full = repo.commit({"a/prodsprint.yaml": "1"})
    assert seen(repo, mirrors, None, empty) == seen(repo, mirrors, None, none) == {}
    assert seen(repo, mirrors, full, empty) == {"a/prodsprint.yaml": Change("a/prodsprint.yaml")}
    with pytest.raises(ForgottenError):
        mirrors.changes(repo.url, "1" * 40, full)
    with pytest.raises(TerminalError, match="holds no commit"):
        mirrors.changes(repo.url, None, "1" * 40)
    mirror = mirrors._folders.path(parse(repo.url))
    for file in (mirror / "objects" / "pack").iterdir():
        file.unlink()
    with pytest.raises((TransientError, TerminalError)):
        mirrors.changes(repo.url, None, full)


def test_only_folders_that_differ_are_read(repo: Repo) -> None:
    files: dict[str, str | bytes] = {f"t{a}/s{b}/prodsprint.yaml": f"{a} {b}" for a in range(30) for b in range(10)}
    first = repo.commit(dict(files))
    files["t7/s3/prodsprint.yaml"] = "new"
    second = repo.commit(dict(files))
    tallies = Tallies(repo.path)
    Differ(repo.git, Limits(), tallies).changes(None, first)
    read: list[object] = []

    class Counted:
        def __init__(self, git: object) -> None:
            self.odb, self.git = self, git

        def get(self, oid: str) -> object:
            return repo.git.get(oid)

        def read(self, oid: object) -> object:
            read.append(oid)
            return repo.git.odb.read(oid)

        def read_header(self, oid: object) -> object:
            return repo.git.odb.read_header(oid)

    differ = Differ(Counted(repo.git), Limits(), tallies)  # type: ignore[arg-type]
    (change,) = differ.changes(first, second)
    assert change.path == "t7/s3/prodsprint.yaml"
    assert len(read) == 6  # root, t7 and s3, each before and after
    assert tallies.find(second) == tallies.find(first)._replace(size=tallies.find(first).size)  # type: ignore[union-attr]


@pytest.mark.parametrize("limits", [Limits(manifests=4), Limits(manifests_bytes=8)])
def test_limits_hold_from_commit_to_commit_as_they_do_for_one_alone(limits: Limits, repo: Repo) -> None:
    commits = [
        repo.commit({"a/prodsprint.yaml": "11", "b/prodsprint.yaml": "22"}),
        repo.commit({"a/prodsprint.yaml": "11", "b/prodsprint.yaml": "22", "c/prodsprint.yaml": "33"}),
        repo.commit(
            {"a/prodsprint.yaml": "11", "b/prodsprint.yaml": "22"}
            | {f"c/{number}.prodsprint.yaml": f"3{number}" for number in range(4)}
        ),
        repo.commit({"a/prodsprint.yaml": "10", "c/9.prodsprint.yaml": "99"}),
    ]
    tallies = Tallies(repo.path)
    held: dict[str, Change] = {}
    before = None
    for commit in commits:
        applied(held, Differ(repo.git, limits, tallies).changes(before, commit))
        before = commit
        alone = {
            change.path: change
            for change in Differ(repo.git, limits, Tallies(repo.path / "none")).changes(None, commit)
        }
        now = held
        folders = {path for path, change in alone.items() if change.why}
        assert {path: c for path, c in now.items() if path.partition("/")[0] not in folders or path in folders} == alone
    assert "c" not in {path for path, change in held.items() if change.why}


def test_a_commit_whose_root_alone_is_too_much_is_refused(repo: Repo) -> None:
    first = repo.commit({"a.prodsprint.yaml": "1"})
    second = repo.commit({f"{number}.prodsprint.yaml": "1" for number in range(4)})
    differ = Differ(repo.git, Limits(manifests=3), Tallies(repo.path))
    assert len(differ.changes(None, first)) == 1
    with pytest.raises(TerminalError, match="more than 3 manifests"):
        differ.changes(first, second)


def test_trees_that_multiply_are_compared_quickly(repo: Repo) -> None:
    first = repo.commit({"a/prodsprint.yaml": "1"})
    for leaf in ({"prodsprint.yaml": "x"}, {"other": "x"}):
        tree = repo.tree(dict(leaf))
        for _ in range(20):
            tree = repo.raw_tree([(FOLDER, f"d{number}".encode(), tree) for number in range(10)])
        commit = repo.commit_tree(
            repo.raw_tree([(FOLDER, b"a", repo.tree({"prodsprint.yaml": "1"})), (FOLDER, b"b", tree)])
        )
        differ = Differ(repo.git, Limits(), Tallies(repo.path))
        differ.changes(None, first)
        assert len(differ.changes(first, commit)) <= 100_001


def test_a_tally_that_is_lost_or_nonsense_changes_no_answer(repo: Repo) -> None:
    first, second = (repo.commit({"a/prodsprint.yaml": text, "b/prodsprint.yaml": "x"}) for text in "12")
    differ = Differ(repo.git, Limits(), Tallies(repo.path))
    wanted = (Change("a/prodsprint.yaml", repo.blob("2")),)
    file = repo.path / "prodsprint-tally.json"
    assert differ.changes(first, second) == wanted
    for text in ("", "[]", "{", '{"x": 1}', "\0" * 10):
        file.write_text(text)
        assert differ.changes(first, second) == wanted


NAMES = st.sampled_from(["prodsprint.yaml", "a.prodsprint.yaml", "b.prodsprint.yml", "README", "x", "y", "z"])
TEXTS = st.sampled_from(["1", "2", "3"])
TREES = st.recursive(
    st.dictionaries(NAMES, TEXTS, max_size=3),
    lambda inner: st.dictionaries(NAMES, TEXTS | inner, max_size=4),
    max_leaves=12,
)


def stored(repo: Repo, tree: dict[str, object]) -> str:
    return repo.raw_tree([
        (FILE, name.encode(), repo.blob(value)) if isinstance(value, str) else (FOLDER, name.encode(), stored(repo, value))  # type: ignore[arg-type]
        for name, value in tree.items()
    ])  # fmt: skip


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=TREES, two=TREES)
def test_changes_lead_from_what_one_commit_has_to_what_another_has(
    one: dict[str, object], two: dict[str, object], repo: Repo
) -> None:
    first, second = (repo.commit_tree(stored(repo, tree), parents=[]) for tree in (one, two))
    differ = Differ(repo.git, Limits(), Tallies(repo.path))
    held = {change.path: change for change in differ.changes(None, first)}
    assert differ.tallies.find(first) is not None
    changes = differ.changes(first, second)
    assert all(held.get(change.path) != change for change in changes)
    applied(held, changes)
    now = held
    found = trees.manifests(Walk(repo.git, Limits(), {}), trees.root(repo.git, second), frozenset())
    assert now == {path: Change(path, blob) for path, blob in found.paths.items()} | {
        path: Change(path, "", why) for path, why in found.problems
    }
    whole = Walk(repo.git, Limits(), {}).find(trees.root(repo.git, second))
    tally = differ.tallies.find(second)
    assert tally is None or (tally.files, tally.size) == (whole.count, whole.size)


LINES = st.lists(
    st.tuples(
        st.sampled_from([b"100644", b"40000"]),
        st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name)
        | st.sampled_from([b"100644 a", b"a 40000 b", b"40000 "]),
        st.sampled_from([b"\0" * 20, b"100644 a\0" + b"x" * 11, b"y" * 20]),
    ),
    max_size=8,
    unique_by=lambda line: line[1],
)


@settings(max_examples=250, deadline=None)
@given(old=LINES, new=LINES, front=LINES, back=LINES)
def test_comparing_trees_as_bytes_misses_nothing_whatever_names_and_ids_look_like(
    old: list[tuple[bytes, bytes, bytes]],
    new: list[tuple[bytes, bytes, bytes]],
    front: list[tuple[bytes, bytes, bytes]],
    back: list[tuple[bytes, bytes, bytes]],
) -> None:
    one, two = ({line[1]: line for line in (*front, *part, *back)}.values() for part in (old, new))
    raw = [b"".join(mode + b" " + name + b"\0" + oid for mode, name, oid in part) for part in (one, two)]
    before, after = (set(trees.entries(data)) for data in raw)
    left, right = differing(*raw)
    assert (set(left), set(right)) == (before - after, after - before)
