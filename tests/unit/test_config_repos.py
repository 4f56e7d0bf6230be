"""Config repos over time: restarts, removals, rewritten and unsigned history, several repos."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from config_desk import Desk, key
from gitrepos import Repo
from signing import SshKey, Work, lacking

from reconciler.config_repos import ConfigRepo, RemovalBudget, Rewrite, Trust
from reconciler.core.desired import Key, OnDelete

TEN = tuple(f"p{number}" for number in range(10))


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    made.close()


def path(name):
    return f"{name}/prodsprint.yaml"


def projects(desk, *names):
    return {path(name): desk.project(name, 8000 + number) for number, name in enumerate(names)}


def told(desk):
    """What the audit says beside the commits that came into force."""
    return [kind for kind, _ in desk.events() if kind != "config.applied"]


def essence(desk):
    now = desk.snapshot
    return (
        dict(now.desired),
        dict(now.key_problems),
        dict(now.tombstones),
        dict(now.held),
        [str(problem) for problem in now.problems],
        now.commit,
    )


# --- restarts ---------------------------------------------------------------------------------------------------------


def test_a_restart_parses_nothing_and_asks_for_the_same(desk):
    desk.commit(projects(desk, "a", "b"))
    before = essence(desk)
    catalog = desk.restart()
    assert essence(desk) == before
    desk.look()
    assert essence(desk) == before
    assert catalog.compiler.drafts.parsed == 0


def test_what_was_broken_before_a_restart_stays_as_it_was_before_it_broke(desk):
    desk.commit(projects(desk, "a", "b"))
    whole = desk.snapshot.desired[key("a")]
    desk.commit({path("a"): "name: [\n"})
    before = essence(desk)
    desk.restart()
    assert essence(desk) == before
    assert desk.snapshot.desired[key("a")] == whole
    assert "prodsprint.yaml" in desk.catalog.problem(key("a"))


def test_one_changed_manifest_is_the_only_one_that_is_parsed(desk):
    desk.commit(projects(desk, *TEN))
    parsed = desk.catalog.compiler.drafts.parsed
    desk.changes.clear()
    desk.commit({path("p3"): desk.project("p3", 8003, command="serve --fast")})
    assert desk.catalog.compiler.drafts.parsed == parsed + 1
    assert desk.changes[0] == {key("p3")}


def test_a_moved_manifest_is_not_parsed_again_and_changes_nothing(desk):
    desk.commit(projects(desk, "a", "b"))
    parsed, before = desk.catalog.compiler.drafts.parsed, desk.snapshot.desired[key("a")]
    desk.changes.clear()
    desk.commit({path("a"): None, "elsewhere/prodsprint.yaml": desk.files[""][path("a")]})
    assert desk.catalog.compiler.drafts.parsed == parsed
    assert desk.snapshot.tombstones == {}
    assert desk.snapshot.desired[key("a")].port == before.port


def test_a_damaged_draft_is_read_again_and_everything_else_is_not(desk):
    desk.commit(projects(desk, "a", "b"))
    before = essence(desk)
    with desk.store._database.writing() as connection:
        connection.exec_driver_sql(
            "update drafts set record = x'00' where blob = (select blob from files where path = 'a/prodsprint.yaml')"
        )
    desk.restart()
    assert essence(desk) == before
    assert desk.catalog.compiler.drafts.parsed == 1


def test_drafts_of_another_language_are_read_again(desk):
    desk.commit(projects(desk, "a", "b"))
    before = essence(desk)
    with desk.store._database.writing() as connection:
        connection.exec_driver_sql("update drafts set language = 'older'")
    desk.restart()
    assert essence(desk) == before
    assert desk.catalog.compiler.drafts.parsed == 2


def test_what_waits_for_an_environment_is_known_by_it(desk):
    more = "  - name: eu\n    port: 8100\n    after: prod\n"
    desk.commit({path("a"): desk.project("a", 8000) + more, path("b"): "dependsOn: [a]\n" + desk.project("b", 8001)})
    assert desk.catalog.dependants(key("a")) == (Key("default", "a", "eu"), key("b"))


# --- removals ---------------------------------------------------------------------------------------------------------


def test_a_removed_manifest_leaves_a_tombstone_that_outlives_restarts_until_it_is_retired(desk):
    desk.commit(projects(desk, "a", "b", "c"))
    commit = desk.commit({path("a"): None})
    for _ in range(2):
        tombstone = desk.catalog.tombstone(key("a"))
        assert tombstone.commit == commit
        assert tombstone.desired.on_delete is OnDelete.KEEP
        assert desk.catalog.desired(key("a")) == (None, "")
        desk.restart()
    desk.catalog.forget(key("a"))
    desk.look()
    assert desk.catalog.tombstone(key("a")) is None
    desk.restart()
    assert desk.catalog.tombstone(key("a")) is None


def test_a_manifest_that_returns_leaves_no_tombstone(desk):
    desk.commit(projects(desk, "a", "b", "c"))
    text = desk.files[""][path("a")]
    desk.commit({path("a"): None})
    desk.commit({path("a"): text})
    desk.restart()
    assert desk.catalog.tombstone(key("a")) is None
    assert key("a") in desk.snapshot.desired


def test_a_commit_that_removes_more_than_its_budget_is_held_until_it_is_approved(desk):
    desk.commit(projects(desk, *TEN))
    before = desk.snapshot.desired
    desk.commit({path(name): None for name in TEN[:5]} | {path("p9"): desk.project("p9", 9100)})
    assert desk.snapshot.tombstones == {}
    assert desk.snapshot.desired[key("p0")] == before[key("p0")]
    assert desk.snapshot.desired[key("p9")].port == 9100  # the rest of the commit is in force
    problem = desk.catalog.problem(key("p0"))
    assert "held" in problem
    digest = re.search("[0-9a-f]{64}", problem)[0]
    desk.restart()
    assert desk.catalog.problem(key("p0")) == problem
    assert told(desk) == ["config.removals_held"]
    approval = "apiVersion: prodsprint/v1\nkind: Approval\nname: spring\nremoval: {}\nreason: they are gone\n"
    desk.commit({"wrong.prodsprint.yaml": approval.format("0" * 64)})
    assert desk.snapshot.tombstones == {}
    desk.commit({"wrong.prodsprint.yaml": approval.format(digest)})
    assert set(desk.snapshot.tombstones) == {key(name) for name in TEN[:5]}


def test_an_approval_of_one_removal_is_none_of_the_next(desk):
    desk.commit(projects(desk, *TEN))
    desk.commit({path(name): None for name in TEN[:4]})
    digest = re.search("[0-9a-f]{64}", desk.catalog.problem(key("p0")))[0]
    approval = f"apiVersion: prodsprint/v1\nkind: Approval\nname: spring\nremoval: {digest}\nreason: gone\n"
    desk.commit({"a.prodsprint.yaml": approval})
    assert len(desk.snapshot.tombstones) == 4
    desk.commit({path(name): None for name in TEN[4:8]})
    assert len(desk.snapshot.tombstones) == 4
    assert "held" in desk.catalog.problem(key("p4"))


def test_an_empty_tree_is_held_as_a_whole(desk):
    desk.commit(projects(desk, "a"))
    desk.commit({path("a"): None, "README": "soon"})
    assert key("a") in desk.snapshot.desired
    assert desk.snapshot.tombstones == {}
    assert "held" in desk.catalog.problem(key("a"))


def test_what_comes_back_is_not_held_any_more(desk):
    desk.commit(projects(desk, *TEN))
    text = desk.files[""][path("p0")]
    desk.commit({path(name): None for name in TEN[:5]})
    desk.commit({path("p0"): text})
    assert desk.catalog.problem(key("p0")) == ""
    assert "held" in desk.catalog.problem(key("p1"))


def test_what_is_held_stays_held_however_many_come_beside_it(desk):
    desk.commit(projects(desk, *TEN))
    desk.commit({path(name): None for name in TEN[:4]})
    desk.commit({f"new/{n}.prodsprint.yaml": desk.project(f"new{n}", 9000 + n) for n in range(20)})
    assert "held" in desk.catalog.problem(key("p0"))
    assert desk.snapshot.tombstones == {}


def test_an_approval_counts_neither_in_the_commit_that_removes_nor_when_it_has_expired(desk):
    desk.commit(projects(desk, *TEN))
    desk.commit({path(name): None for name in TEN[:4]})
    digest = re.search("[0-9a-f]{64}", desk.catalog.problem(key("p0")))[0]
    approval = f"apiVersion: prodsprint/v1\nkind: Approval\nname: spring\nremoval: {digest}\nreason: gone\n"
    desk.commit({"a.prodsprint.yaml": approval + "expires: 2001-01-01\n"})
    assert desk.snapshot.tombstones == {}
    desk.commit({path(name): desk.project(name, 8000 + n) for n, name in enumerate(TEN[:4])})
    desk.commit({path(name): None for name in TEN[:4]} | {"b.prodsprint.yaml": approval.replace("spring", "summer")})
    assert desk.snapshot.tombstones == {}
    desk.commit({"c.prodsprint.yaml": approval.replace("spring", "autumn")})
    assert len(desk.snapshot.tombstones) == 4
    assert told(desk).count("config.removals_approved") == 1


def test_a_project_may_not_lose_nearly_all_of_its_environments_at_once(desk):
    text = desk.project("wide", 8000)
    more = "".join(f"  - name: e{n}\n    port: {8100 + n}\n" for n in range(39))
    desk.commit({path("wide"): text + more, path("b"): desk.project("b", 9000)})
    desk.commit({path("wide"): text})
    assert "held" in desk.catalog.problem(Key("default", "wide", "e7"))
    assert desk.snapshot.tombstones == {}


def test_defaults_and_a_project_that_change_in_one_commit_are_both_new(desk):
    space = "apiVersion: prodsprint/v1\nkind: Workspace\nname: default\nowners: [ann@example.org]\n"
    space += "defaults: {instances: %d}\n"
    desk.commit(projects(desk, "a", "b") | {"w.prodsprint.yaml": space % 2})
    desk.commit({path("a"): desk.project("a", 8100), "w.prodsprint.yaml": space % 3})
    found = desk.snapshot.desired
    assert (found[key("a")].port, found[key("a")].instances, found[key("b")].instances) == (8100, 3, 3)
    before = essence(desk)
    desk.restart()
    assert essence(desk) == before


# --- how repos are named ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["dropped", "another spelling", "named"])
def test_what_is_kept_is_destroyed_by_no_change_of_the_list_of_repos(tmp_path, how):
    desk = Desk(tmp_path, "core", "edge")
    desk.commit({"a.prodsprint.yaml": desk.project("a", 8000, on_delete="destroy")}, "core")
    desk.commit({"b.prodsprint.yaml": desk.project("b", 8001, on_delete="destroy")}, "edge")
    desk.commit({"b.prodsprint.yaml": "name: [\n"}, "edge")
    core, edge = desk.configs
    changed = {
        "dropped": (core,),
        "another spelling": (core, replace(edge, url=f"file://{edge.url}")),
        "named": (core, replace(edge, name="rim")),
    }
    desk.configs = changed[how]
    desk.restart()
    desk.look()
    assert desk.snapshot.tombstones == {}
    assert desk.snapshot.desired[key("b")].port == 8001


def test_the_only_repo_may_get_a_name_and_a_second_one_beside_it(tmp_path):
    desk = Desk(tmp_path, "core")
    desk.commit({"a.prodsprint.yaml": desk.project("a", 8000), "b.prodsprint.yaml": desk.project("b", 8001)}, "core")
    desk.git["edge"], desk.files["edge"] = Repo(tmp_path / "edge.git"), {}
    desk.git["edge"].commit({"README": "soon"})
    desk.configs = (*desk.configs, ConfigRepo(desk.git["edge"].url, name="edge"))
    desk.restart()
    assert {state.path for state in desk.snapshot.desired.values()} <= {
        "core:a.prodsprint.yaml",
        "core:b.prodsprint.yaml",
    }
    desk.commit({"a.prodsprint.yaml": desk.project("a", 8002)}, "core")
    assert desk.snapshot.problems == ()
    assert desk.snapshot.desired[key("a")].port == 8002
    desk.commit({"b.prodsprint.yaml": None}, "core")
    assert set(desk.snapshot.tombstones) == {key("b")}
    desk.close()


def test_a_branch_that_is_named_is_the_one_that_was_meant_before(desk):
    desk.commit(projects(desk, "a", "b"))
    before = essence(desk)
    desk.restart(branch="main")
    assert essence(desk) == before
    assert desk.catalog.compiler.drafts.parsed == 0


# --- history ----------------------------------------------------------------------------------------------------------


def rewrite(desk, files):
    """Put history without a common commit in the place of the branch."""
    desk.files[""] = dict(files)
    desk.git[""].commit(dict(files), parents=[])
    desk.look()


def test_rewritten_history_is_followed_and_told_with_both_heads(desk):
    desk.commit(projects(desk, "a", "b"))
    rewrite(desk, projects(desk, "a", "b") | {path("b"): desk.project("b", 8100)})
    assert desk.snapshot.desired[key("b")].port == 8100
    assert told(desk) == ["config.rewritten"]
    body = next(one.body for one in desk.store.events(0, 10) if one.type == "config.rewritten")
    assert len(set(re.findall('"(?:applied|head)":"([0-9a-f]{40})"', body))) == 2


def test_rewritten_history_is_held_where_the_policy_says_so_until_it_is_pinned(tmp_path):
    desk = Desk(tmp_path, on_rewrite=Rewrite.HOLD)
    first = desk.commit(projects(desk, "a", "b"))
    rewrite(desk, projects(desk, "a", "b") | {path("b"): desk.project("b", 8100)})
    assert desk.snapshot.desired[key("b")].port == 8001
    assert "history was rewritten" in desk.catalog.away()
    assert first[:12] in desk.catalog.away()
    desk.restart()
    desk.look()
    assert desk.snapshot.desired[key("b")].port == 8001
    head = str(desk.git[""].git.references["refs/heads/main"].target)
    desk.restart(first=head)
    desk.look()
    assert desk.snapshot.desired[key("b")].port == 8100
    assert desk.catalog.away() == ""
    desk.close()


@pytest.mark.skipif(bool(lacking("git", "ssh-keygen")), reason=lacking("git", "ssh-keygen"))
def test_an_unsigned_commit_between_signed_ones_holds_the_repo_at_the_last_signed_one(tmp_path):
    ann, work = SshKey(tmp_path, "ann"), Work(tmp_path / "config")
    (tmp_path / "signers").write_text(f"ann@example.org {ann.public}\n")
    desk = Desk(tmp_path)
    desk.configs = (ConfigRepo(str(work.path), trust=Trust.SIGNED, allowed_signers=tmp_path / "signers"),)
    desk.restart()
    (work.path / "a.prodsprint.yaml").write_text(desk.project("a", 8000))
    signed = work.commit(ann)
    desk.look()
    assert desk.snapshot.desired[key("a")].port == 8000
    assert desk.catalog.followers[0].applied.signer == "ann@example.org"
    (work.path / "a.prodsprint.yaml").write_text(desk.project("a", 8001))
    work.commit()
    work.commit(ann)
    desk.look()
    assert desk.snapshot.desired[key("a")].port == 8000
    assert signed[:12] in desk.catalog.away()
    assert "config.held" in [kind for kind, _ in desk.events()]
    desk.restart()
    desk.look()
    assert desk.snapshot.desired[key("a")].port == 8000
    desk.close()


# --- several repos ----------------------------------------------------------------------------------------------------


def test_two_repos_that_claim_one_project_are_told_of_each_other(tmp_path):
    desk = Desk(tmp_path, "core", "edge")
    desk.commit({"a.prodsprint.yaml": desk.project("a", 8000)}, "core")
    desk.commit({"b.prodsprint.yaml": desk.project("a", 8001)}, "edge")
    said = " ".join(map(str, desk.snapshot.problems))
    assert "core:a.prodsprint.yaml" in said
    assert "edge:b.prodsprint.yaml" in said
    assert desk.snapshot.desired[key("a")].port == 8000  # as it was before there were two
    desk.close()


def test_a_repo_speaks_for_its_own_workspaces_alone(tmp_path):
    desk = Desk(tmp_path, "core", "edge")
    desk.configs = (desk.configs[0], ConfigRepo(desk.git["edge"].url, name="edge", workspaces=("edge",)))
    desk.restart()
    desk.commit({"a.prodsprint.yaml": desk.project("a", 8000, "core")}, "core")
    files = {"a.prodsprint.yaml": desk.project("a", 8001, "core"), "b.prodsprint.yaml": desk.project("b", 8002, "edge")}
    desk.commit(files, "edge")
    assert desk.snapshot.desired[key("a", "core")].port == 8000
    assert key("b", "edge") in desk.snapshot.desired
    assert [problem.place.file for problem in desk.snapshot.problems] == ["edge:a.prodsprint.yaml"]
    desk.close()


def test_what_one_repo_has_held_is_not_let_go_by_a_commit_in_another(tmp_path):
    desk = Desk(tmp_path, "core", "edge", removals=RemovalBudget(1, 0.1))
    desk.commit({path(name): desk.project(name, 8000 + n) for n, name in enumerate(TEN)}, "core")
    desk.commit({"z.prodsprint.yaml": desk.project("z", 9000)}, "edge")
    desk.commit({path(name): None for name in TEN[:3]}, "core")
    assert "held" in desk.catalog.problem(key("p0"))
    desk.commit({"z.prodsprint.yaml": desk.project("z", 9001)}, "edge")
    assert "held" in desk.catalog.problem(key("p0"))
    assert desk.snapshot.tombstones == {}
    desk.close()


def test_a_repo_that_is_not_configured_any_more_takes_nothing_with_it(tmp_path):
    desk = Desk(tmp_path, "core", "edge")
    desk.commit({"a.prodsprint.yaml": desk.project("a", 8000)}, "core")
    desk.commit({"b.prodsprint.yaml": desk.project("b", 8001)}, "edge")
    desk.configs = desk.configs[:1]
    desk.restart()
    desk.look()
    assert desk.snapshot.tombstones == {}
    assert set(desk.snapshot.desired) == {key("a")}
    desk.close()
