"""``prodsprint plan --rev`` and ``prodsprint plan --explain``."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pygit2
import pytest
from api_world import PROD, STAGING, ZOO, rolling, steady
from gitrepos import Repo
from manifest_samples import edited
from worktrees import WorkTree, manifest

from reconciler.cli import markdown, proposal
from reconciler.cli.told import comment
from reconciler.core.desired import Key
from reconciler.core.digest import release_digest
from reconciler.core.state import Quarantine
from reconciler.manifest.meaning import Action, Change, Meaning
from reconciler.manifest.removal import approval_of, digest


@pytest.fixture
def service(tmp_path):
    repo = Repo(tmp_path / "service.git")
    for name in ("v1", "v2"):
        repo.tag(name, repo.commit({"app.py": name}))
    return f"file://{repo.path}"


@pytest.fixture
def tree(tmp_path, monkeypatch, service):
    one = WorkTree(tmp_path / "repo")
    one.commit(a=manifest("a", 8001, source=service), b=manifest("b", 8002))
    monkeypatch.chdir(one.folder)
    return one


@pytest.fixture
def plan(run, tmp_path):
    """Plans without a daemon."""
    return lambda *words: run("plan", *words, "--data-dir", str(tmp_path / "nowhere"))


def branch(tree: WorkTree) -> None:
    """Go on from main on a branch of its own."""
    tree.git.branches.create("feature", tree.git[tree.git.head.target])
    tree.git.set_head("refs/heads/feature")


# --- --explain -------------------------------------------------------------------------------------------------------


def test_explain_tells_a_commit_in_the_words_of_the_product(plan, tree, service):
    tree.commit(a=manifest("a", 8001, "v2", source=service))
    shown = plan("--explain", "HEAD~1", "HEAD")
    head, _, *rest = shown.out.splitlines()
    assert head.endswith(": 1 changed, 1 new release")
    assert rest[0] == "default/a/prod: a new release by 1/5/25/100 %"
    assert re.fullmatch(r"  version v1 → v2 \([0-9a-f]{12} → [0-9a-f]{12}\)", rest[1])


def test_explain_goes_backwards_too(plan, tree, service):
    tree.commit(a=manifest("a", 8001, "v2", source=service))
    assert "version v2 → v1 (" in plan("--explain", "HEAD", "HEAD~1").out


def test_explain_says_nothing_of_moved_files(plan, tree, service):
    (tree.folder / "a" / "prodsprint.yaml").unlink()
    tree.commit(elsewhere=manifest("a", 8001, source=service))
    shown = plan("--explain", "HEAD~1", "HEAD", "--detailed-exitcode")
    assert (shown.code, shown.out.strip().endswith(": nothing changes")) == (0, True)
    data = json.loads(plan("--explain", "HEAD~1", "HEAD", "-o", "json").out)
    assert (data["environments"], data["documents"], data["removal"]) == ([], [], None)


def test_explain_keeps_to_the_folders_that_are_named(plan, tree, service):
    tree.commit(a=manifest("a", 8001, "v2", source=service), b="name: [\n")
    assert "problem" not in plan("--explain", "HEAD~1", "HEAD", "a").out
    assert "default/a/prod" not in plan("--explain", "HEAD~1", "HEAD", "b").out
    assert "what was in force there stays" in plan("--explain", "HEAD~1", "HEAD", "b").out


def test_explain_says_what_it_could_not_look_up(plan, tree, service):
    tree.commit(a=manifest("a", 8001, "v9", source=service), b=manifest("b", 8002, "v2"))
    shown = plan("--explain", "HEAD~1", "HEAD")
    assert f"{service} has no version v9 yet: what asks for it stays as it is until it is pushed." in shown.out
    assert "The commits of versions are not known: /nowhere/service.git: the folder does not exist." in shown.out
    assert "\n  version v1 → v9\n" in shown.out
    assert "\n  version v1 → v2\n" in shown.out


def test_explain_has_exit_codes(plan, tree):
    tree.commit(b=manifest("b", 8003))
    assert plan("--explain", "HEAD~1", "HEAD").code == 0
    assert plan("--explain", "HEAD~1", "HEAD", "--detailed-exitcode").code == 2
    assert plan("--explain", "HEAD~1", "nothing").code == 1


def test_options_that_do_not_go_together(plan, tree):
    assert "not allowed with" in plan("--explain", "HEAD", "HEAD", "--rev", "HEAD").err
    assert plan("--base", "HEAD").err == "prodsprint: --base goes with --rev\n"
    assert plan("-o", "markdown").err == "prodsprint: -o markdown goes with --rev and with --explain\n"


# --- --rev without a daemon ------------------------------------------------------------------------------------------


def test_a_branch_is_compared_with_where_it_leaves_the_default_one(plan, tree, service):
    branch(tree)
    tree.commit(a=manifest("a", 8001, "v2", source=service))
    tree.git.set_head("refs/heads/main")
    tree.commit(a=manifest("a", 8001, source=service), b=manifest("b", 8009))
    shown = plan("--rev", "feature", "--detailed-exitcode")
    assert shown.code == 2
    assert ", where it leaves main; 1 environment unchanged." in shown.out
    assert "The observed state is unknown (no daemon has run in " in shown.out
    assert "default/b/prod" not in shown.out
    assert "default/a/prod: steps of the new release\n        1 % on 1 instance, for at least 5m\n" in shown.out
    data = json.loads(plan("--rev", "feature", "-o", "json").out)
    assert (data["observed"], data["plans"], data["unchanged"]) == (False, {}, 1)
    assert [step["weight"] for step in data["steps"]["default/a/prod"]] == ["1%", "5%", "25%", "100%"]
    assert [one["subject"] for one in data["environments"]] == ["default/a/prod"]


def test_the_base_can_be_named(plan, tree):
    tree.commit(b=manifest("b", 8003))
    assert "nothing changes" in plan("--rev", "main").out
    assert "port 8002 → 8003" in plan("--rev", "main", "--base", "main~1").out


def test_without_a_default_branch_all_of_it_is_new(plan, tree):
    branch(tree)
    tree.git.branches["main"].delete()
    shown = plan("--rev", "feature")
    assert "against nothing: there is no branch origin/HEAD, main or master (name a commit with --base)" in shown.out
    assert "default/a/prod: new project: v1" in shown.out


def test_the_branch_that_origin_has_for_its_head_comes_first(plan, tree):
    tree.git.references.create("refs/remotes/origin/trunk", tree.git.head.target)
    tree.git.references.create("refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    tree.commit(b=manifest("b", 8003))
    assert "(origin/trunk)" in plan("--rev", "HEAD").out


def test_problems_that_a_commit_brings_are_its_own(plan, tree):
    tree.commit(b="name: [\n")
    branch(tree)
    tree.commit(c=manifest("c", 8010))
    assert plan("--rev", "feature", "--detailed-exitcode").code == 2
    tree.commit(c=manifest("c", 8001))
    shown = plan("--rev", "feature", "--detailed-exitcode")
    assert shown.code == 1
    assert "problems that it brings:\n  a/prodsprint.yaml:10:11: port 8001 belongs to default/c/prod too" in shown.out


def test_a_removal_over_the_budget_says_how_it_is_approved(plan, tree):
    branch(tree)
    for name in "ab":
        (tree.folder / name / "prodsprint.yaml").unlink()
    tree.commit()
    shown = plan("--rev", "feature")
    assert shown.code == 3
    assert "held: it removes 2 of 2 projects (default/a, default/b), more than the budget allows." in shown.out
    assert (
        "The budget of removals is the default one: at most 10 projects at once, and of more than one at most 34 % of all; "
        "one alone may always go, unless it is the last."
    ) in shown.out
    data = json.loads(plan("--rev", "feature", "-o", "json").out)
    (approval,) = data["removal"]["approvals"]
    assert data["removal"]["digest"] in approval
    tree.commit(approvals=f"---\n{approval}\n")
    shown = plan("--rev", "feature")
    assert (shown.code, "expected one line of text, found an empty text" in shown.out) == (1, True)
    tree.commit(approvals=f"---\n{reasoned(approval)}\n")
    shown = plan("--rev", "feature")
    words = (
        "does not count: what it approves is removed at once with it, and has to be held first; commit it after that"
    )
    assert (shown.code, f"  {words}\n" in shown.out) == (3, True)
    shown = plan("--rev", "feature", "--base", "feature~2")
    assert (shown.code, "  leaves default/a/prod without a manifest (keep)\n" in shown.out) == (0, True)


def reasoned(approval: str) -> str:
    """An approval as it is printed, with the reason that somebody gives."""
    return approval.replace('reason: ""', "reason: They moved.")


@pytest.fixture
def leaving(tree):
    """Two of the three projects go, one of them with its instances; and the approval for that."""
    tree.commit(a=manifest("a", 8001, more="onDelete: destroy\n"), c=manifest("c", 8003))
    for name in "ab":
        (tree.folder / name / "prodsprint.yaml").unlink()
    tree.commit()
    return reasoned(approval_of(digest([Key("default", "a", "prod"), Key("default", "b", "prod")]), "default"))


WHAT_GOES = "  destroys default/a/prod\n  leaves default/b/prod without a manifest (keep)\n"


@pytest.mark.parametrize("between", [0, 3])
def test_an_approval_says_what_it_lets_happen_of_what_was_removed_before(plan, tree, leaving, between):
    for number in range(between):
        tree.commit(c=manifest("c", 8010 + number))
    branch(tree)
    tree.commit(approvals=f"---\n{leaving}\n")
    for words in (("--explain", "main", "feature"), ("--rev", "feature")):
        shown = plan(*words)
        assert shown.out.splitlines()[0].endswith(": 1 destroyed, 1 left without a manifest, 1 approval added")
        assert WHAT_GOES in shown.out
    data = json.loads(plan("--rev", "feature", "-o", "json").out)
    assert (data["counts"]["destroyed"], data["counts"]["left"], data["counts"]["changed"]) == (1, 1, 0)
    page = plan("--rev", "feature", "-o", "markdown").out
    assert "destroys default/a/prod<br>leaves default/b/prod without a manifest" in page


def test_an_approval_of_what_nobody_knows_says_so(plan, tree, leaving):
    tree.commit(approvals="---\n" + reasoned(approval_of("f" * 64, "default")) + "\n")
    shown = plan("--explain", "HEAD~1", "HEAD")
    words = "approves a removal that this repo does not show; look at `prodsprint why` of the held environments"
    assert f"  {words}\n" in shown.out


def test_an_approval_of_another_workspace_lets_nothing_happen(plan, tree, leaving):
    tree.commit(approvals=f"---\n{leaving.replace('workspace: default', 'workspace: acme')}\n")
    shown = plan("--explain", "HEAD~1", "HEAD")
    assert "  lets nothing happen: the removal has no environment of workspace acme\n" in shown.out


def test_an_approval_of_what_a_daemon_holds_says_what_it_lets_happen(ask, world, tree):
    removal = digest([PROD])
    problem = f"acme/shop/prod was removed: commit `{approval_of(removal, 'acme')}`"
    world.views[PROD] = replace(steady(PROD), problem=problem)
    branch(tree)
    tree.commit(approvals="---\n" + reasoned(approval_of(removal, "acme")) + "\n")
    shown = ask("plan", "--rev", "feature")
    assert "  leaves acme/shop/prod without a manifest (keep)\n" in shown.out
    assert shown.out.splitlines()[0].endswith(": 1 left without a manifest, 1 approval added")


def test_a_comment_names_nothing_of_the_machine_that_writes_it(run, tree, tmp_path):
    tree.commit(b=manifest("b", 8003))
    shown = run("plan", "--rev", "HEAD", "--base", "HEAD~1", "-o", "markdown", "--data-dir", str(tmp_path / "nowhere"))
    assert "The observed state is unknown &#40;no daemon was in reach&#41;" in shown.out
    assert str(tmp_path) not in shown.out


def test_fields_are_named_as_manifests_name_them(plan, tree, service):
    text = manifest("a", 8001, source=service).replace(
        "    port: 8001\n", "    port: 8001\n    release: {bake: 1m, maxBake: 9h}\n"
    )
    tree.commit(a=text.replace("app.py\n", "app.py\n  env: {TOKEN: x}\n"))
    (change,) = json.loads(plan("--explain", "HEAD~1", "HEAD", "-o", "json").out)["environments"]
    assert [one["field"] for one in change["details"]] == ["process.env.TOKEN", "release.bake", "release.maxBake"]


def test_environment_values_are_never_printed(plan, tree, service):
    branch(tree)
    text = manifest("a", 8001, "v2", source=service)
    tree.commit(a=edited(("app.py\n", "app.py\n  env: {TOKEN: hunter2}\n  build: make hunter2\n"), text=text))
    for form in ("table", "json", "yaml", "markdown"):
        shown = plan("--rev", "feature", "-o", form)
        assert "env TOKEN added" in shown.out
        assert "hunter2" not in shown.out


def test_many_environments_are_not_planned_one_by_one(plan, tree, monkeypatch):
    monkeypatch.setattr(proposal, "MOST_PLANNED", 2)
    branch(tree)
    tree.commit(**{f"p{n}": manifest(f"p{n}", 9000 + n) for n in range(5)})
    tree.commit(**{f"p{n}": manifest(f"p{n}", 9000 + n, "v2") for n in range(5)})
    data = json.loads(plan("--rev", "feature", "--base", "feature~1", "-o", "json").out)
    assert (len(data["environments"]), len(data["steps"])) == (5, 2)


# --- --rev with a daemon ---------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tree, service):
    """A branch that asks for v2 of what the daemon serves v1 of."""
    text = edited(("name: shop\n", "name: shop\nworkspace: acme\n"), text=manifest("shop", 8080, source=service))
    tree.commit(shop=text)
    branch(tree)
    return tree.commit(shop=edited(("version: v1\n", "version: v2\n"), text=text))


def test_with_a_daemon_the_plan_is_the_daemons(ask, world, shop):
    world.views[PROD] = steady(PROD)
    shown = ask("plan", "--rev", "feature", "--detailed-exitcode")
    assert shown.code == 2
    assert "acme/shop/prod: v1 → v2 (" in shown.out
    assert re.search(r"  \d\. run 1 instance of v2 \(", shown.out)
    assert "observed state is unknown" not in shown.out
    data = json.loads(ask("plan", "--rev", "feature", "-o", "json").out)
    assert data["observed"] is True
    assert (data["plans"]["acme/shop/prod"]["serves"], data["steps"]) == ("v1", {})
    assert ask("plan", "--rev", "feature", "-o", "json").out == ask("plan", "--rev", "feature", "-o", "json").out
    assert "plan of acme/shop/prod" in ask("plan", "--rev", "feature", "-o", "markdown").out


def test_what_is_quarantined_is_denied(ask, world, shop):
    plans = json.loads(ask("plan", "--rev", "feature", "-o", "json").out)["plans"]
    digest = plans["acme/shop/prod"]["release_digest"]
    view = rolling(PROD)
    bad = Quarantine(digest, "rolled back", 1_700_000_000.0, 2)
    world.views[PROD] = replace(view, state=replace(view.state, rollout=None, quarantined=(bad,)))
    shown = ask("plan", "--rev", "feature")
    assert (shown.code, "Quarantine" in shown.out) == (3, True)
    assert digest != release_digest(view.desired)


def test_what_needs_a_port_that_is_still_served_is_not_promised(ask, world, tree, service):
    world.views = {ZOO: replace(steady(ZOO), desired=None)}
    branch(tree)
    tree.commit(late=manifest("late", 8080, source=service), fine=manifest("fine", 8090, source=service))
    shown = ask("plan", "--rev", "feature")
    assert shown.code == 3
    assert (
        "default/late/prod is not planned: held: port 8080 belongs to zoo/app/prod still; choose another" in shown.out
    )
    assert "default/late/prod: nothing →" not in shown.out
    assert "default/fine/prod: nothing → v1" in shown.out
    data = json.loads(ask("plan", "--rev", "feature", "-o", "json").out)
    assert (list(data["blocked"]), list(data["plans"])) == (["default/late/prod"], ["default/fine/prod"])


def test_what_comes_back_has_its_port(ask, world, tree, shop):
    world.views = {PROD: replace(steady(PROD), desired=None)}
    shown = ask("plan", "--rev", "feature")
    assert (shown.code, "still" in shown.out) == (0, False)


def test_what_has_no_known_commit_is_not_planned(ask, world, shop, tree):
    tree.commit(shop=(tree.folder / "shop" / "prodsprint.yaml").read_text().replace("version: v2", "version: v9"))
    shown = ask("plan", "--rev", "feature")
    assert "acme/shop/prod is not planned: the commit of its version is not known." in shown.out
    assert shown.code == 0


def test_the_commit_of_an_unchanged_version_is_the_daemons(ask, world, tree):
    text = edited(
        ("name: shop\n", "name: shop\nworkspace: acme\n"),
        text=manifest("shop", 8080, source="https://user.example/shop.git"),
    )
    view = steady(PROD)
    known = replace(
        view.state.stable.desired,
        artifact=replace(view.state.stable.desired.artifact, source="https://user.example/shop.git"),
    )
    world.views[PROD] = replace(
        view, state=replace(view.state, stable=replace(view.state.stable, desired=known), certified=())
    )
    tree.commit(shop=text)
    branch(tree)
    tree.commit(shop=text.replace("    port: 8080\n", "    port: 8080\n    instances: 3\n"))
    data = json.loads(ask("plan", "--rev", "feature", "-o", "json").out)
    assert data["plans"]["acme/shop/prod"]["revision"] == "1" * 40


# --- comments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile",
    [
        "a | b || c", "`x` ``y``", "<script>alert(1)</script>", "<!-- x", "</details></pre>", "@everyone", "see #1 and !2",
        "[x](https://evil.example)", "![x](https://evil.example/pixel)", "https://evil.example www.evil.example",
        "**bold** __b__ ~~s~~", "# title", "- [ ] task", "line\nline\r\nline", "$x^2$", "&lt;b&gt;", "a\\|b",
        "\x1b[31mred\u202e",
    ],
)  # fmt: skip
def test_hostile_text_is_shown_and_does_nothing(hostile):
    text = markdown.escaped(hostile)
    assert "\n" not in text
    assert not re.search(r"[|`<>\[\]*_~\\$@]", text)
    assert not re.search(r"://|www\.|&(?!#\d+;)|#(?!\d+;)", text)
    assert text.isprintable()
    assert markdown.code(hostile) == f"<code>{text}</code>"
    block = markdown.block(hostile)
    assert block.count("</pre>") == 1
    assert "<script" not in block
    assert "\x1b" not in block


def meant(count: int, words: str) -> Meaning:
    keys = tuple(
        Change(f"default/p{n:05d}/prod", Action.REMOVED, f"removed {words}", files=("x",)) for n in range(count)
    )
    return Meaning(keys, (), (), (), None)


@pytest.mark.parametrize("words", ["", "|" * 500, "@<>`" * 200])
def test_a_comment_is_never_too_long(words):
    details = [(f"plan {n}", "x<" * 20_000) for n in range(10)]
    text = comment(meant(10_000, words), "a title", ["a note"], details)
    assert len(text) <= 60_000
    assert "more rows, for which there is no room here." in text
    assert text.startswith("### ProdSprint: 10,000 left without a manifest\n")
    assert text.count("<details>") == text.count("</details>")


def test_a_small_comment_has_all_of_it():
    text = comment(meant(2, "x"), "a title", [], [("plan of a", "1. run\n")])
    assert text == (
        "### ProdSprint: 2 left without a manifest\n\na title\n\n| what | what happens |\n|---|---|\n"
        "| <code>default/p00000/prod</code> | removed x |\n| <code>default/p00001/prod</code> | removed x |\n\n"
        "<details><summary>plan of a</summary>\n\n<pre>\n1. run\n\n</pre>\n\n</details>\n"
    )


def two(service, *, staging: str, prod: str) -> str:
    """A project whose prod comes after staging, with a version for each."""
    text = edited(("name: shop\n", "name: shop\nworkspace: acme\n"), text=manifest("shop", 8080, source=service))
    both = f"  - name: staging\n    port: 8079\n    version: {staging}\n  - name: prod\n    version: {prod}\n"
    return text.replace("  - name: prod\n", both)


@pytest.mark.parametrize("certified", [True, False])
def test_what_an_environment_waits_for_is_looked_up(ask, world, tree, service, certified):
    tree.commit(shop=two(service, staging="v2", prod="v1"))
    branch(tree)
    commit = tree.commit(shop=two(service, staging="v2", prod="v2"))
    before = steady(STAGING)
    if certified:
        revision = str(pygit2.Repository(service.removeprefix("file://")).references["refs/tags/v2"].target)
        stable = before.state.stable
        artifact = replace(stable.desired.artifact, revision=revision)
        stable = replace(stable, desired=replace(stable.desired, artifact=artifact))
        before = replace(before, state=replace(before.state, stable=stable, certified=(stable,)))
    world.views = {PROD: steady(PROD), STAGING: before}
    shown = ask("plan", "--rev", commit)
    assert ("staging has not certified v2" in shown.out) is not certified
    assert ("of v2 (" in shown.out) is certified
