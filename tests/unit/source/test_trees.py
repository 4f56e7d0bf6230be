from __future__ import annotations

from pathlib import Path

import pytest
from gitrepos import Link, Repo
from pygit2.enums import ObjectType

from reconciler.core.outcome import TerminalError
from reconciler.source import trees
from reconciler.source.git import Mirrors
from reconciler.source.trees import Limits, Manifests, Walk

FILE, FOLDER, LINK, MODULE = 0o100644, 0o040000, 0o120000, 0o160000


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "config.git")


def found(repo: Repo, tree: str, limits: Limits | None = None) -> Manifests:
    return trees.manifests(Walk(repo.git, limits or Limits(), {}), tree, frozenset())


def test_manifests_are_found_anywhere_by_name(repo: Repo) -> None:
    names = ["prodsprint.yaml", "a.prodsprint.yaml", "x/y/prodsprint.yaml", "x/.hidden/b.prodsprint.yaml"]
    others = {
        "prodsprint.yaml.bak": "",
        "xprodsprint.yaml": "",
        "prodsprint.example.yaml": "",
        "README.md": "",
        "prodsprint.yaml.d/f": "",
    }
    result = found(repo, repo.tree({name: name for name in names} | others))
    assert {path: result.content[blob].decode() for path, blob in result.paths.items()} == {
        name: name for name in names
    }
    assert not result.problems


def test_links_submodules_odd_modes_names_and_sizes_are_problems_of_their_own(repo: Repo) -> None:
    good, module = repo.blob("fine"), repo.commit({"a": "1"})
    inner = repo.raw_tree([
        (LINK, b"a.prodsprint.yaml", repo.blob("/etc/passwd")),
        (MODULE, b"b.prodsprint.yaml", module),
        (0, b"c.prodsprint.yaml", good),
        (FILE, b"d.prodsprint.yml", good),
        (FILE, b"e.PRODSPRINT.YAML", good),
        (FILE, b"f.prodsprint.yaml", repo.blob(b"x" * (1 << 20 | 1))),
        (FILE, b"g\n.prodsprint.yaml", good),
        (FILE, b"h\xff.prodsprint.yaml", good),
        (FILE, b"prodsprint.yaml", good),
        (LINK, b"folder", repo.blob("..")),
        (MODULE, b"module", module),
    ])  # fmt: skip
    result = found(repo, repo.raw_tree([(FOLDER, b"in", inner)]))
    assert list(result.paths) == ["in/prodsprint.yaml"]
    why = dict(result.problems)
    assert len(why) == 8
    assert "symbolic link" in why["in/a.prodsprint.yaml"]
    assert "submodule" in why["in/b.prodsprint.yaml"]
    assert "file mode 0" in why["in/c.prodsprint.yaml"]
    assert "lower case" in why["in/d.prodsprint.yml"]
    assert "lower case" in why["in/e.PRODSPRINT.YAML"]
    assert "has 1048577 bytes" in why["in/f.prodsprint.yaml"]


def test_an_unchanged_folder_is_not_read_again(repo: Repo) -> None:
    files: dict[str, str | bytes] = {
        f"t{number}/{file}.prodsprint.yaml": "x" for number in range(50) for file in range(3)
    }
    first = Walk(repo.git, Limits(), {})
    trees.manifests(first, repo.tree(dict(files)), frozenset())
    # The folders are all alike: one of them is read, and the root.
    assert first.read == 2
    files["t7/0.prodsprint.yaml"] = "changed"
    second = Walk(repo.git, Limits(), first.seen)
    result = trees.manifests(second, repo.tree(dict(files)), frozenset({repo.blob("x")}))
    assert second.read == 2
    assert len(result.paths) == 150
    assert list(result.content.values()) == [b"changed"]


def test_a_tree_of_trees_that_multiplies_is_refused_quickly(repo: Repo) -> None:
    for leaf in ({"prodsprint.yaml": "x"}, {"other": "x"}):
        tree = repo.tree(dict(leaf))
        for _ in range(20):
            tree = repo.raw_tree([(FOLDER, f"d{number}".encode(), tree) for number in range(10)])
        if "other" in leaf:
            assert not found(repo, tree).paths
        else:
            result = found(repo, tree)
            assert len(result.paths) + len(result.problems) <= 100_000
            assert any("more than 100000 manifests" in why for _, why in result.problems)


def deep(repo: Repo, tree: str, folders: int) -> str:
    for _ in range(folders):
        tree = repo.raw_tree([(FOLDER, b"d", tree)])
    return tree


def test_a_folder_that_lies_too_deep_is_a_problem_of_that_path_alone(repo: Repo) -> None:
    team = repo.tree({"x/y/prodsprint.yaml": "x"})
    lines = [(FOLDER, b"a", deep(repo, team, 98)), (FOLDER, b"team", team)]
    result = found(repo, repo.raw_tree(lines))
    assert list(result.paths) == ["team/x/y/prodsprint.yaml"]
    ((path, why),) = result.problems
    assert path == "/".join(["a", *["d"] * 98, "x", "y"])
    assert why == "lies deeper than 100 folders and is not read"


def test_what_multiplies_below_the_depth_limit_is_looked_at_once(repo: Repo) -> None:
    tree = repo.tree({"prodsprint.yaml": "x"})
    for _ in range(60):
        tree = repo.raw_tree([(FOLDER, b"a", tree), (FOLDER, b"b", tree)])
    result = found(repo, tree, Limits(depth=40, manifests=100))
    assert not result.paths
    assert any("more than 100 manifests" in why for _, why in result.problems)


def test_the_largest_folder_is_left_out_when_there_is_too_much(repo: Repo) -> None:
    names = {"evil/prodsprint.yaml": "abcdef", "b/prodsprint.yaml": "abc", "c.prodsprint.yaml": "de"}
    result = found(repo, repo.tree({f"teams/{name}": text for name, text in names.items()}), Limits(manifests_bytes=8))
    assert set(result.paths) == {"teams/b/prodsprint.yaml", "teams/c.prodsprint.yaml"}
    ((path, why),) = result.problems
    assert path == "teams/evil"
    assert why.startswith("has manifests that are larger than 8 bytes together, with what lies beside it")


def test_manifests_at_the_root_that_are_too_large_refuse_the_commit(repo: Repo) -> None:
    with pytest.raises(TerminalError, match="larger than 5 bytes together"):
        found(repo, repo.tree({"prodsprint.yaml": "abc", "a.prodsprint.yaml": "def"}), Limits(manifests_bytes=5))


def test_a_malformed_folder_is_a_problem_of_that_path_alone(repo: Repo) -> None:
    broken = str(repo.git.odb.write(ObjectType.TREE, b"no tree"))
    lines = [(FOLDER, b"broken", broken), (FOLDER, b"team", repo.tree({"prodsprint.yaml": "x"}))]
    result = found(repo, repo.raw_tree(lines))
    assert (list(result.paths), [path for path, _ in result.problems]) == (["team/prodsprint.yaml"], ["broken"])


def test_unknown_commit_is_refused_and_a_link_to_a_folder_is_not_followed(repo: Repo, tmp_path: Path) -> None:
    commit = repo.commit({"real/prodsprint.yaml": "x", "link": Link("real")})
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.fetch(repo.url)
    assert list(mirrors.files(repo.url, commit).paths) == ["real/prodsprint.yaml"]
    for unknown in ("0" * 40, "main", commit[:10], str(repo.git[commit].tree_id)):
        with pytest.raises(TerminalError, match="holds no commit"):
            mirrors.files(repo.url, unknown)
