"""What a commit means, from two sets of files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from manifest_kinds import APPROVAL, FREEZE, MONTHLY, PACK, TARGET, WAIVER, WORKSPACE
from manifest_samples import edited, project

from reconciler.config_repos import RemovalBudget
from reconciler.manifest.meaning import Change, Meaning, meaning, versions
from reconciler.manifest.prospect import Prospect, named

SOURCE = "https://example.com/hello.git"
Files = dict[str, str | dict[str, Any]]


def told(before: Files, after: Files, commits: dict[str, str] | None = None) -> Meaning:
    prospect = Prospect(allows=RemovalBudget().allows)
    one, two = (prospect.go(name, _tree(files)) for name, files in (("c1", before), ("c2", after)))
    known = {(SOURCE, version): commit for version, commit in (commits or {}).items()}
    return meaning(one, two, known, prospect.held)


def _tree(files: Files):
    texts = {path: text if isinstance(text, str) else json.dumps(text) for path, text in files.items()}
    return named({path: text.encode() for path, text in texts.items()}, {})


def one(before: str, after: str, **more) -> Change:
    (change,) = told({"prodsprint.yaml": before}, {"prodsprint.yaml": after}, **more).keys
    return change


def said(change: Change) -> list[str]:
    return [detail.message for detail in change.details]


PLAIN = project("hello", 8080)


# --- nothing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "after",
    [
        {"prodsprint.yaml": PLAIN},
        {"moved/renamed.prodsprint.yaml": PLAIN},
        {"prodsprint.yaml": f"# a comment\n{PLAIN}"},
        {"prodsprint.yaml": edited(("python3 app.py", "['python3', 'app.py']"), text=PLAIN)},
        {"prodsprint.yaml": edited(("    port: 8080\n", "    port: 8080\n    instances: 1\n"), text=PLAIN)},
    ],
)
def test_what_changes_no_wish_means_nothing(after):
    assert told({"prodsprint.yaml": PLAIN}, after).nothing


def test_a_broken_file_that_is_renamed_brings_and_mends_nothing():
    assert told({"a.prodsprint.yaml": "name: [\n"}, {"b.prodsprint.yaml": "name: [\n"}).nothing


def test_a_problem_that_moves_down_with_its_line_is_not_a_new_one():
    wrong = edited(("version", "versoin"), text=PLAIN)
    assert told({"prodsprint.yaml": wrong}, {"prodsprint.yaml": f"# a comment\n{wrong}"}).nothing


# --- one environment -------------------------------------------------------------------------------------------------


def test_another_version_with_its_commits():
    change = one(
        PLAIN, edited(("version: v1\n", "version: v2\n"), text=PLAIN), commits={"v1": "a" * 40, "v2": "b" * 40}
    )
    assert (change.subject, change.message, change.release) == (
        "default/hello/prod", "a new release by 1/5/25/100 %", True,
    )  # fmt: skip
    assert said(change) == ["version v1 → v2 (aaaaaaaaaaaa → bbbbbbbbbbbb)"]


def test_another_version_whose_commits_are_not_known():
    change = one(PLAIN, edited(("version: v1\n", "version: v2\n"), text=PLAIN), commits={"v1": "a" * 40})
    assert said(change) == ["version v1 → v2"]
    assert change.release


def test_another_name_of_the_same_commit_is_no_new_release():
    change = one(
        PLAIN, edited(("version: v1\n", "version: v2\n"), text=PLAIN), commits={"v1": "a" * 40, "v2": "a" * 40}
    )
    assert said(change) == ["version v1 → v2 (both are aaaaaaaaaaaa)"]
    assert (change.release, change.message) == (False, "no new release")


def test_only_the_versions_that_changed_have_to_be_looked_up():
    prospect = Prospect()
    before = {"a.prodsprint.yaml": PLAIN, "b.prodsprint.yaml": project("other", 8081)}
    after = {**before, "a.prodsprint.yaml": edited(("version: v1\n", "version: v2\n"), text=PLAIN)}
    snapshots = [prospect.go(name, _tree(files)) for name, files in (("c1", before), ("c2", after))]
    assert versions(*snapshots) == {(SOURCE, "v1"), (SOURCE, "v2")}


BLOCK = "  command: python3 app.py\n"


@pytest.mark.parametrize(
    ("old", "new", "words", "release"),
    [
        ("", "  env: {TOKEN: hunter2}\n", ["env TOKEN added"], True),
        ("  env: {TOKEN: hunter2}\n", "  env: {TOKEN: hunter3}\n", ["env TOKEN changed"], True),
        ("  env: {TOKEN: hunter2}\n", "  env: {OTHER: hunter2}\n", ["env OTHER added", "env TOKEN removed"], True),
        ("  env: {TOKEN: ''}\n", "  env: {TOKEN: hunter2}\n", ["env TOKEN changed"], True),
        ("", "  build: make hunter2\n", ["build added"], True),
        ("", "  buildEnv: {KEY: hunter2}\n", ["buildEnv KEY added"], True),
        ("", "  health: /hunter2\n", ["health added"], True),
        ("  stopDeadline: 5s\n", "  stopDeadline: 6s\n", ["stopDeadline changed"], False),
    ],
)
def test_what_differs_in_the_block_of_a_target_is_named_and_not_shown(old, new, words, release):
    change = one(*(edited((BLOCK, BLOCK + text), text=PLAIN) for text in (old, new)))
    assert (said(change), change.release) == (words, release)
    assert all(detail.release is release for detail in change.details)


def test_another_command_is_a_new_release():
    change = one(PLAIN, edited(("app.py", "app.py --token hunter2"), text=PLAIN))
    assert (said(change), change.release) == (["command changed"], True)


PORT = "    port: 8080\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (PORT, "    port: 8090\n", ["port 8080 → 8090"]),
        (PORT, f"{PORT}    instances: 4\n", ["instances 1 → 4"]),
        (PORT, f"{PORT}    release: {{steps: [5%, 100%]}}\n", ["steps 1/5/25/100 % → 5/100 %"]),
        (PORT, f"{PORT}    release: {{bake: 10m}}\n", ["bake 5m → 10m"]),
        (PORT, f"{PORT}    release: {{steps: [1%, {{weight: 5%, bake: 1m}}, 25%, 100%]}}\n", ["bake 5m → 5m/1m/5m/5m"]),
        (PORT, f"{PORT}    release: {{strategy: all-at-once}}\n", ["strategy canary 1/5/25/100 % → all-at-once"]),
        (PORT, f"{PORT}    release: {{drain: 10s, holdDeadline: 12h}}\n", ["holdDeadline 1d → 12h", "drain 5s → 10s"]),
        (PORT, f"{PORT}    analysis: {{errorBudget: 0.5%, interval: 1m}}\n",
         ["analysis.interval 10s → 1m", "analysis.errorBudget 1% → 0.5%"]),
        (PORT, f"{PORT}    onDelete: destroy\n", ["onDelete keep → destroy"]),
    ],
)  # fmt: skip
def test_settings_are_no_new_release(old, new, words):
    change = one(PLAIN, edited((old, new), text=PLAIN))
    assert change.message == "no new release"
    assert not change.release
    assert said(change) == words


def test_order_and_needs():
    text = PLAIN + "  - name: late\n    port: 8081\n"
    change = one(text, text + "    after: none\n")
    assert (change.subject, said(change)) == ("default/hello/late", ["after prod → none"])
    other = {"other.prodsprint.yaml": project("other", 9000)}
    (needing,) = told(
        {**other, "prodsprint.yaml": PLAIN}, {**other, "prodsprint.yaml": f"{PLAIN}dependsOn: [other]\n"}
    ).keys
    assert said(needing) == ["dependsOn default/other/prod added"]


SUITE = """\
apiVersion: prodsprint/v1
kind: Project
name: suite
source: https://example.com/hello.git
version: v1
components:
  - name: web
    process: {command: ./web}
  - name: worker
    process: {command: ./worker}
  - name: cron
    process: {command: ./cron}
environments:
  - name: prod
    ports: {web: 8080, cron: 8083, worker: 8081}
"""


def test_components_are_told_apart():
    change = one(SUITE, edited(("./worker}", "./worker -v}"), ("worker: 8081", "worker: 8082"), text=SUITE))
    assert said(change) == ["worker: command changed", "worker: port 8081 → 8082"]
    less = edited(("  - name: worker\n    process: {command: ./worker}\n", ""), (", worker: 8081", ""), text=SUITE)
    assert said(one(SUITE, less)) == ["component worker removed"]
    assert said(one(less, SUITE)) == ["component worker added: v1, port 8081"]


# --- what comes and goes ---------------------------------------------------------------------------------------------


def test_what_is_new():
    (change,) = told({}, {"prodsprint.yaml": PLAIN}).keys
    assert (change.action, change.message) == ("added", "new project: v1, 1 instance, port 8080")
    more = PLAIN + "  - name: late\n    port: 8081\n"
    changes = told({"prodsprint.yaml": PLAIN}, {"prodsprint.yaml": more}).keys
    assert changes[0].message == "new environment: v1, 1 instance, port 8081"


@pytest.mark.parametrize(
    ("how", "words"),
    [("keep", "removed; it goes on serving"), ("destroy", "destroyed, since it is removed: its traffic goes")],
)
def test_what_is_removed_says_what_becomes_of_it(how, words):
    found = told({"prodsprint.yaml": f"{PLAIN}onDelete: {how}\n", "b.prodsprint.yaml": project("b", 1024)},
                 {"b.prodsprint.yaml": project("b", 1024)})  # fmt: skip
    (change,) = found.keys
    assert change.action == ("removed" if how == "keep" else "destroyed")
    assert change.message.startswith(words)


def fleet(count: int) -> Files:
    return {f"{n}.prodsprint.yaml": project(f"p{n}", 2000 + n) for n in range(count)}


def test_removals_over_the_budget_are_held_whatever_the_same_commit_approves():
    found = told(fleet(10), fleet(5))
    assert {one.action for one in found.keys} == {"held"}
    assert found.held
    assert [name for _, name in sorted(found.held.projects)] == ["p5", "p6", "p7", "p8", "p9"]
    approval = {
        "apiVersion": "prodsprint/v1", "kind": "Approval", "name": "go", "removal": found.held.removals.digest,
        "reason": "The team is gone.",
    }  # fmt: skip
    approved = told(fleet(10), {**fleet(5), "yes.prodsprint.yaml": approval})
    assert approved.held == found.held
    assert {one.action for one in approved.keys} == {"held"}


def test_a_project_that_loses_many_environments_at_once_is_held():
    more = "".join(f"  - name: e{n}\n    port: {3000 + n}\n" for n in range(11))
    found = told({"prodsprint.yaml": PLAIN + more}, {"prodsprint.yaml": PLAIN})
    assert found.held
    assert found.held.projects == {("default", "hello")}
    assert [one.action for one in found.keys].count("held") == 11


def test_an_empty_commit_is_held():
    assert told(fleet(1), {}).held


def test_what_breaks_keeps_its_last_good_form():
    broken = edited(("version: v1\n", "version: v2\n"), ("port", "prot"), text=PLAIN)
    found = told({"prodsprint.yaml": PLAIN}, {"prodsprint.yaml": broken})
    assert found.keys == ()
    assert found.kept == ("default/hello/prod",)
    assert [str(one.code) for one in found.brought] == ["unknown-field"]


def test_what_is_mended_comes_into_force():
    found = told({"prodsprint.yaml": edited(("port", "prot"), text=PLAIN)}, {"prodsprint.yaml": PLAIN})
    assert found.keys[0].message.startswith("its manifest was broken before: v1")
    assert (len(found.mended), found.brought) == (1, ())


# --- other documents -------------------------------------------------------------------------------------------------

SHOP = {"shop.prodsprint.yaml": edited(("hello\n", "shop\nworkspace: payments\n"), text=PLAIN)}
OWN = {"own.prodsprint.yaml": edited(("hello\n", "shop\n"), ("8080", "8081"), text=PLAIN)}


@pytest.mark.parametrize(
    ("document", "subject", "message"),
    [
        ({**WAIVER, "gates": ["cost"]}, "Waiver payments/openssl",
         "project shop, environment prod, release 0123456789ab is exempt from cost until 2026-12-24T18:00:00+01:00"),
        (APPROVAL, "Approval default/shop-prod", "the release 0123456789ab of shop/prod is approved until 2026-12-01"),
        (FREEZE, "Freeze default/weekends",
         "nothing is promoted in projects shop; environments prod for 2d12h at 0 18 * * fri (Europe/Paris)"),
        (MONTHLY, "Freeze default/closing",
         "nothing is promoted in the whole workspace for 6h by FREQ=MONTHLY;BYDAY=-1FR from 2026-01-30T12:00:00Z"),
        (PACK, "PolicyPack default/baseline", "version 1.4.0, 2 rules"),
        (TARGET, "Target platform/small-vm", "a process target, shared with payments, core"),
    ],
)  # fmt: skip
def test_documents_that_come_and_go_are_told_with_their_scope_and_end(document, subject, message):
    before: Files = {**SHOP, **OWN}
    after = {**before, "document.prodsprint.yaml": document}
    for change, action in ((told(before, after).documents, "added"), (told(after, before).documents, "removed")):
        assert [(one.subject, one.action, one.message) for one in change] == [(subject, action, message)]


def changed(document: dict[str, Any], **fields: Any) -> list[str]:
    files = [{**SHOP, **OWN, "document.prodsprint.yaml": {**document, **more}} for more in ({}, fields)]
    (change,) = told(*files).documents
    return said(change)


def test_documents_that_change_say_what_is_different():
    assert changed(WAIVER, expires="2026-12-31", gates=["vulnerabilities", "cost"]) == [
        "expires 2026-12-24T18:00:00+01:00 → 2026-12-31",
        "gates CVE-2026-1234 removed", "gates cost added", "gates pkg:pypi/jinja2@3.1 removed",
    ]  # fmt: skip
    assert changed(FREEZE, bypass=["sre"], inFlight="hold") == [
        "bypass release-captain removed", "bypass sre added", "inFlight finish → hold",
    ]  # fmt: skip
    rules = [{**PACK["rules"][0], "message": "Too few."}, {**PACK["rules"][1], "id": "docs"}]
    cases = [PACK["cases"][0]]
    assert changed(PACK, rules=rules, cases=cases, version="2.0.0", parameters={"leastCoverage": 90}) == [
        "cases strict removed", "parameters.leastCoverage 80.0 → 90", "parameters.licences Apache-2.0 removed",
        "parameters.licences MIT removed",
        "rules coverage changed", "rules docs added", "rules readme removed", "version 1.4.0 → 2.0.0",
    ]  # fmt: skip


def defaults(**more: Any) -> dict[str, Any]:
    return {**{name: WORKSPACE[name] for name in ("apiVersion", "kind")}, "name": "default", "defaults": more}


def test_defaults_of_a_workspace_say_whom_they_reach_and_no_variables():
    files = [
        {**fleet(3), "ws.prodsprint.yaml": defaults(release={"bake": bake}, process={"env": {"TOKEN": token}})}
        for bake, token in (("6m", "hunter2"), ("7m", "hunter3"))
    ]
    found = told(*files)
    (workspace,) = found.documents
    assert workspace.subject == "Workspace default"
    assert said(workspace) == ["defaults.process.env.TOKEN changed", "defaults.release.bake 6m → 7m"]
    assert workspace.reach == ("default/p0/prod", "default/p1/prod", "default/p2/prod")
    assert {one.cause for one in found.keys} == {"Workspace default"}
    assert {tuple(said(one)) for one in found.keys} == {("env TOKEN changed", "bake 6m → 7m")}
    assert "hunter" not in repr(found)


@pytest.mark.parametrize("value", ["hunter2", {"env": {"TOKEN": "hunter2"}}])
def test_a_whole_block_that_comes_with_a_secret_shows_none(value):
    block = value if isinstance(value, dict) else {"build": value}
    files = [{**fleet(1), "ws.prodsprint.yaml": defaults(**more)} for more in ({}, {"process": block})]
    assert "hunter" not in repr(told(*files))


def test_a_shared_target_says_whom_it_reaches():
    named_target = {"apiVersion": "prodsprint/v1", "kind": "Target", "name": "vm", "type": "process"}
    user = edited(("    port: 2000\n", "    port: 2000\n    target: vm\n"), text=project("p0", 2000))
    files = [
        {
            **fleet(2),
            "0.prodsprint.yaml": user,
            "vm.prodsprint.yaml": {**named_target, "process": {"env": {"A": value}}},
        }
        for value in ("hunter2", "hunter3")
    ]
    found = told(*files)
    assert [(one.subject, one.cause) for one in found.keys] == [("default/p0/prod", "Target vm")]
    assert [one.reach for one in found.documents] == [("default/p0/prod",)]
    assert "hunter" not in repr(found)


def test_it_is_the_same_each_time_and_sorted():
    before = fleet(30)
    after = {name: edited(("version: v1\n", "version: v2\n"), text=str(text)) for name, text in before.items()}
    found = told(before, after)
    assert found == told(before, after)
    assert [one.subject for one in found.keys] == sorted(one.subject for one in found.keys)
