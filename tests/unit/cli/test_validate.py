"""``prodsprint validate``: what is checked, against what, and what is said about it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from gitrepos import Repo
from manifest_samples import environment
from worktrees import WorkTree, manifest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    one = WorkTree(tmp_path / "repo")
    one.commit(a=manifest("a", 8001), b=manifest("b", 8002))
    monkeypatch.chdir(one.folder)
    return one


def codes(shown) -> list[tuple[str, str]]:
    return [(one["file"], one["code"]) for one in json.loads(shown.out)]


# --- what is checked -------------------------------------------------------------------------------------------------


def test_a_file_is_checked_against_the_others_of_its_work_tree(run, tree):
    tree.write(b=manifest("b", 8001))
    shown = run("validate", "b/prodsprint.yaml", "-o", "json")
    assert (shown.code, codes(shown)) == (1, [("b/prodsprint.yaml", "duplicate-port")])
    assert "1 problem in other files of the work tree" in shown.err
    assert "belongs to default/a/prod too, in a/prodsprint.yaml:10:11" in shown.out


def test_alone_checks_nothing_but_what_is_named(run, tree):
    tree.write(b=manifest("b", 8001))
    shown = run("validate", "b/prodsprint.yaml", "--alone")
    assert (shown.code, shown.out, shown.err) == (0, "fine: 1 file, 1 environment (default/b/prod)\n", "")


def test_problems_of_others_do_not_fail_what_is_fine(run, tree):
    tree.write(a="name: [\n")
    shown = run("validate", "b/prodsprint.yaml")
    assert (shown.code, shown.out) == (0, "fine: 1 file, 1 environment (default/b/prod)\n")
    assert shown.err == f"1 problem in other files of the work tree {tree.folder}/\n"


def test_what_git_does_not_track_is_no_context(run, tree):
    tree.write(scratch=manifest("a", 8001))
    assert run("validate", "a").code == 0
    assert run("validate").code == 1


def test_problems_are_counted_at_the_end(run, tree):
    tree.write(a="name: [\n", b=manifest("b", 8002).replace("source:", "sauce:").replace("port:", "prot:"))
    lines = run("validate").out.splitlines()
    assert (len(lines), lines[-1]) == (4, "3 problems in 2 files")


TARGET = "---\napiVersion: prodsprint/v1\nkind: Target\nname: fast\ntype: process\n"


def test_a_target_that_git_does_not_track_is_named_where_it_may_be_missed(run, tree):
    tree.write(
        targets=TARGET, scratch=manifest("a", 8001), a=manifest("a", 8001).replace("8001", "8001\n    target: fast")
    )
    hint = "targets/prodsprint.yaml does not count here, since git does not track it: 'git add' it if it is to\n"
    shown = run("validate", "a")
    assert (shown.code, shown.err) == (1, hint)
    assert run("validate", "a", "--alone").err == ""
    assert run("validate", "b").err == "1 problem in other files of the work tree " + f"{tree.folder}/\n"
    (tree.folder / ".gitignore").write_text("targets\n")
    assert run("validate", "a").err == ""
    (tree.folder / ".gitignore").unlink()
    tree.git.index.add("targets/prodsprint.yaml")
    tree.git.index.write()
    assert (run("validate", "a").code, run("validate", "a").err) == (0, "")


def test_files_are_named_as_they_were_from_where_one_is(run, tree, monkeypatch):
    tree.write(b=manifest("b", 8001))
    monkeypatch.chdir(tree.folder / "a")
    shown = run("validate", "../b", "-o", "json")
    assert codes(shown) == [("../b/prodsprint.yaml", "duplicate-port")]
    assert "in prodsprint.yaml:10:11" in shown.out


def test_a_file_that_is_named_twice_is_one_file(run, tree):
    assert run("validate", "a", "./a/prodsprint.yaml", str(tree.folder / "a"), ".").out.startswith("fine: 2 files, ")


def test_defaults_of_a_workspace_that_is_not_named_count(run, tree):
    workspace = "---\napiVersion: prodsprint/v1\nkind: Workspace\nname: default\nquotas: {environments: 1}\n"
    tree.commit(team=workspace)
    shown = run("validate", "a", "b", "-o", "json")
    assert codes(shown) == [("b/prodsprint.yaml", "quota")]


def test_another_repo_inside_of_the_work_tree_is_not_read(run, tree):
    WorkTree(tree.folder / "vendor").commit(a=manifest("a", 8001))
    assert run("validate").out == "fine: 2 files, 2 environments (default/a/prod, default/b/prod)\n"


def test_names_that_are_no_manifests_are_reported(run, tree):
    (tree.folder / "README.md").write_text("hello\n")
    shown = run("validate", "a/prodsprint.yaml", "README.md", "-o", "json")
    assert shown.code == 1
    (one,) = json.loads(shown.out)
    assert (one["file"], one["code"]) == ("README.md", "file-refused")
    assert "is no manifest by its name" in one["message"]
    assert set(one) == {"file", "line", "column", "code", "message", "hint"}


def test_thousands_of_environments_are_not_all_named(run, tmp_path):
    for number in range(25):
        more = (environment(f"e{one}", 10_000 + 50 * number + one) for one in range(49))
        text = manifest(f"p{number}", 9000 + number, more="".join(more))
        (tmp_path / f"{number}.prodsprint.yaml").write_text(text)
    shown = run("validate", str(tmp_path))
    assert shown.out == (
        "fine: 25 files, 1,250 environments (default/p0/e0, default/p0/e1, default/p0/e10, default/p0/e11, "
        "default/p0/e12 and 1,245 more)\n"
    )


# --- commits ---------------------------------------------------------------------------------------------------------


def test_a_commit_is_checked_as_it_is(run, tree):
    tree.commit(b="name: [\n")
    tree.commit(b=manifest("b", 8002))
    (tree.folder / "a" / "prodsprint.yaml").unlink()
    assert run("validate", "--rev", "HEAD").out == "fine: 2 files, 2 environments (default/a/prod, default/b/prod)\n"
    assert codes(run("validate", "--rev", "HEAD~1", "-o", "json")) == [("b/prodsprint.yaml", "yaml-syntax")]
    assert run("validate", "--rev", "HEAD~1", "a").code == 0
    assert run("validate", "--rev", "HEAD~1", "b").code == 1
    assert run("validate", "--rev", "HEAD", "a").out == "fine: 1 file, 1 environment (default/a/prod)\n"


def test_a_folder_that_is_gone_from_disk_can_be_asked_for(run, tree):
    (tree.folder / "a" / "prodsprint.yaml").unlink()
    (tree.folder / "a").rmdir()
    assert run("validate", "--rev", "HEAD", "a").code == 0
    shown = run("validate", "--rev", "HEAD", "c")
    assert "has no prodsprint.yaml and no *.prodsprint.yaml there" in shown.err


def test_a_commit_of_a_bare_repo(run, tmp_path):
    repo = Repo(tmp_path / "bare.git")
    commit = repo.commit({"prodsprint.yaml": manifest("a", 8001)})
    repo.tag("v1", commit, annotated=True)
    for revision in ("main", commit[:8], "v1", "refs/heads/main"):
        assert run("validate", "--rev", revision, repo.url).out == "fine: 1 file, 1 environment (default/a/prod)\n"


def test_a_commit_is_context_of_its_folders(run, tree):
    tree.commit(b=manifest("b", 8001))
    shown = run("validate", "--rev", "HEAD", "a")
    assert shown.code == 1
    assert shown.err == "1 problem in other files of the commit\n"
    assert run("validate", "--rev", "HEAD", "a", "--alone").code == 0


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        ("--upload-pack=touch x", "expected a branch, a tag or a commit"),
        ("-x", "expected a branch, a tag or a commit"),
        ("", "expected a branch, a tag or a commit"),
        ("a\x1b[31m", "expected a branch, a tag or a commit"),
        ("x" * 300, "expected a branch, a tag or a commit"),
        (":/change", "expected what names one commit"),
        ("HEAD^{/(a+)+$}", "expected what names one commit"),
        ("HEAD:a/prodsprint.yaml", "expected what names one commit"),
        ("nothing", "there is no such commit here"),
        ("HEAD~99999", "there is no such commit here"),
        ("HEAD^{tree}", "revision 'HEAD^{tree}'"),
        ("f" * 40, "there is no such commit here"),
    ],
)
def test_a_revision_that_is_none(run, tree, revision, words):
    shown = run("validate", f"--rev={revision}")
    assert shown.code == 1
    assert words in shown.err
    assert shown.err.isprintable() or shown.err.count("\n") == 1
    assert "\x1b" not in shown.err


def test_an_ambiguous_revision(run, tree):
    known: dict[str, str] = {}
    for number in range(100_000):
        oid = str(tree.git.create_blob(f"{number}".encode()))
        if oid[:4] in known:
            break
        known[oid[:4]] = oid
    shown = run("validate", "--rev", oid[:4])
    assert (shown.code, "more than one object has an id that starts so" in shown.err) == (1, True)


def test_a_path_outside_of_any_repo(run, tmp_path):
    (tmp_path / "prodsprint.yaml").write_text(manifest("a", 8001))
    assert run("validate", "--rev", "HEAD", str(tmp_path)).err == f"prodsprint: {tmp_path}: is in no git repo\n"
    assert run("validate", str(tmp_path)).code == 0


def test_a_path_in_another_repo(run, tree, tmp_path):
    assert "is not in the git repo" in run("validate", "--rev", "HEAD", "a", str(tmp_path)).err


def test_nothing_is_written_into_the_repo(run, tree):
    def listing() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in tree.folder.rglob("*"))

    before = listing()
    run("validate", "--rev", "HEAD")
    run("validate")
    assert listing() == before


# --- pre-commit ------------------------------------------------------------------------------------------------------


HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}


def hook(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a hook as pre-commit does: its entry and arguments, with the staged files that fit its pattern."""
    one = HOOKS[name]
    staged = subprocess.run(
        ["git", "diff", "--staged", "--name-only", "--diff-filter=ACMRTUXB"],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    files = [path for path in staged if re.search(one["files"], path)]
    words = [*shlex.split(one["entry"]), *one.get("args", ()), *files]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path}
    )


def test_the_hooks_are_what_pre_commit_takes():
    assert set(HOOKS) == {"prodsprint-validate", "prodsprint-fmt"}
    for one in HOOKS.values():
        assert one["language"] == "python"
        assert one["require_serial"] is True
        for name in ("prodsprint.yaml", "a/b/prodsprint.yaml", "x.prodsprint.yaml", "a/x.prodsprint.yaml"):
            assert re.search(one["files"], name)
        for name in (
            "prodsprint.yml",
            "myprodsprint.yaml",
            "prodsprint.yaml/x",
            "a/.prodsprint.yaml.swp",
            "prodsprint.yaml.j2",
        ):
            assert not re.search(one["files"], name)


def test_the_validate_hook_checks_what_is_staged_against_the_rest(tree):
    tree.write(c=manifest("c", 8001))
    tree.git.index.add("c/prodsprint.yaml")
    tree.git.index.write()
    done = hook("prodsprint-validate", tree.folder)
    assert (done.returncode, done.stdout.splitlines()[1:]) == (1, ["1 problem in 1 file"])
    assert done.stdout.startswith("c/prodsprint.yaml:10:11: port 8001 belongs to default/a/prod too")
    tree.write(c=manifest("c", 8003))
    assert hook("prodsprint-validate", tree.folder).returncode == 0


def test_the_fmt_hook_rewrites_what_is_staged(tree):
    tree.write(c=manifest("c", 8003).replace("    port", "    port   "))
    tree.git.index.add("c/prodsprint.yaml")
    tree.git.index.write()
    done = hook("prodsprint-fmt", tree.folder)
    assert (done.returncode, done.stdout) == (0, "formatted: c/prodsprint.yaml\n")
    assert (tree.folder / "c" / "prodsprint.yaml").read_text() == manifest("c", 8003)
