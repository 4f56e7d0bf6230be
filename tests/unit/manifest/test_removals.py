from __future__ import annotations

import pytest
from link_samples import broken, document, file, one, project, revision

from reconciler.core.desired import Artifact, Component, Key
from reconciler.manifest.link import Linker
from reconciler.manifest.problem import Code


def key(name: str, environment: str = "prod") -> Key:
    return Key("default", name, environment)


def names(*found: str) -> frozenset[tuple[str, str]]:
    return frozenset(("default", name) for name in found)


def started(*files, repos=None) -> Linker:
    linker = Linker(revision, repos)
    linker.update("c1", {path: draft for some in files for path, draft in some.items()})
    return linker


def two(environments=("eu", "prod"), **more):
    ports = {"eu": 1, "prod": 2}
    return {"a": file(project("a", "a", {name: ports[name] for name in environments}, **more))}


# --- tombstones ---


def test_removed_manifest_leaves_tombstones_of_what_was_asked_for_last():
    linker = started(two())
    before = linker.snapshot
    snapshot = linker.update("c2", {"a": None})
    assert not snapshot.desired
    assert not snapshot.key_problems
    assert {each: (gone.desired, gone.commit) for each, gone in snapshot.tombstones.items()} == {
        each: (state, "c2") for each, state in before.desired.items()
    }
    assert snapshot.changed == {key("a", "eu"), key("a")}
    assert linker.update("c3", one("b", "b", 9)).tombstones == snapshot.tombstones


def test_removed_environment_leaves_a_tombstone_and_the_rest_goes_on():
    linker = started(two())
    snapshot = linker.update("c2", two(("prod",)))
    assert set(snapshot.tombstones) == {key("a", "eu")}
    assert set(snapshot.desired) == {key("a")}


def test_tombstone_goes_when_the_manifest_returns():
    linker = started(one("a", "a", 1))
    linker.update("c2", {"a": None})
    broke = linker.update("c3", one("a", "a", 1, problem="broken"))
    assert set(broke.tombstones) == set(broke.key_problems) == {key("a")}
    back = linker.update("c4", one("a", "a", 1))
    assert not back.tombstones
    assert back.desired[key("a")].commit == "c4"
    assert back.changed == {key("a")}


def test_tombstone_goes_when_it_is_retired():
    linker = started(one("a", "a", 1))
    linker.update("c2", {"a": None})
    snapshot = linker.forget(key("a"))
    assert (dict(snapshot.tombstones), dict(snapshot.projects), snapshot.changed) == ({}, {}, {key("a")})
    assert linker.forget(key("a")).changed == frozenset()


@pytest.mark.parametrize("then", [None, "lost", "broken"])
def test_broken_or_lost_manifest_leaves_no_tombstone_until_it_is_removed(then):
    linker = started(one("a", "a", 1))
    states = {"lost": {"a": file(lost="is unreadable", path="a")}, "broken": one("a", "a", 1, problem=broken("a"))}
    for state in ("lost", "broken", "lost"):
        snapshot = linker.update(state, states[state])
        assert (set(snapshot.desired), set(snapshot.tombstones)) == ({key("a")}, set())
    assert set(linker.update("c9", {"a": None}).tombstones) == {key("a")}


def test_renamed_file_and_moved_project_leave_no_tombstone():
    linker = started(one("a", "a", 1), one("b", "b", 2))
    snapshot = linker.update("c2", {"a": None, **one("x/a", "a", 1)})
    assert (dict(snapshot.tombstones), snapshot.desired[key("a")].path) == ({}, "x/a")
    snapshot = linker.update(
        "c3", {"x/a": None, "b": file(project("b", "a", {"prod": 1}), project("b", "b", {"prod": 2}))}
    )
    assert not snapshot.tombstones


# --- ports of what was removed ---


def test_port_of_a_tombstone_is_not_free_until_it_is_retired():
    linker = started(one("a", "a", 1))
    linker.update("c2", {"a": None})
    snapshot = linker.update("c3", one("b", "b", 1))
    assert snapshot.key_problems == {
        key("b"): "b:40:11: port 1 belongs to default/a/prod still, which was removed from a and may be running. "
        'Choose another port, or free it with `prodsprint release retire default/a/prod --reason "renamed"`'
    }
    freed = linker.forget(key("a"))
    assert (set(freed.desired), freed.problems, freed.changed) == ({key("b")}, (), {key("a"), key("b")})


def test_renamed_project_is_another_one_and_cannot_have_the_port_at_once():
    linker = started(one("a", "a", 1))
    snapshot = linker.update("c2", one("a", "b", 1))
    assert set(snapshot.tombstones) == {key("a")}
    assert set(snapshot.key_problems) == {key("b")}


def test_every_components_port_counts():
    worker = Component("worker", Artifact("https://example.com/x.git", "", "v1"), "{}", "{}", 1, 7)
    linker = started(one("a", "a", 1, components=(worker,)))
    assert linker.snapshot.desired[key("a")].components[0].artifact.revision == "a" * 40
    snapshot = linker.update("c2", one("b", "b", 7))
    assert [f"{problem.place} {problem.code}" for problem in snapshot.problems] == [
        "a:41:11 duplicate-port",
        "b:40:11 duplicate-port",
    ]
    assert set(snapshot.desired) == {key("a")}


def test_components_of_one_environment_with_one_port_are_refused():
    worker = Component("worker", Artifact("https://example.com/x.git", "", "v1"), "{}", "{}", 1, 1)
    linker = started(one("a", "a", 1, components=(worker,)))
    assert [str(problem) for problem in linker.snapshot.problems] == [
        "a:41:11: port 1 belongs to another component of default/a/prod too. Choose another port"
    ]


# --- what a commit would remove ---


def test_removals_are_projects_that_go_and_environments_that_go():
    linker = started(two(), one("b", "b", 11), one("c", "c", 12))
    found = linker.removals({**two(("prod",)), "b": None, "c": None, **one("d", "c", 12)})
    assert found.keys == (key("a", "eu"), key("b"))
    assert (found.projects, found.shrunk, found.before) == ((("default", "b"),), (("default", "a"),), 3)
    assert linker.snapshot.commit == "c1"
    assert set(linker.snapshot.desired) == {key("a", "eu"), key("a"), key("b"), key("c")}


@pytest.mark.parametrize(
    "changes",
    [
        one("a", "a", 1, problem="broken"),
        {"a": file(lost="is unreadable", path="a")},
        {"a": None, **one("b", "a", 1)},
        {"a": None, **one("b", "a", 1, problem="broken")},
        {**one("a", "a", 5), **one("b", "a", 6)},
        one("a", "a", 7, needs=("nobody",)),
    ],
)
def test_what_is_broken_lost_moved_or_disputed_is_not_removed(changes):
    linker = started(one("a", "a", 1))
    assert linker.removals(changes).keys == ()
    assert not linker.update("c2", changes).tombstones


def test_digest_is_that_of_the_keys_in_any_order():
    linker = started(one("a", "a", 1), one("b", "b", 2))
    forth, back = linker.removals({"a": None, "b": None}), linker.removals({"b": None, "a": None})
    assert forth.digest == back.digest
    assert len(forth.digest) == 64
    assert forth.digest != linker.removals({"a": None}).digest


def test_held_removal_stays_in_force_and_says_what_to_commit():
    linker = started(one("a", "a", 1), one("b", "b", 2), one("c", "c", 3, needs=("a",)))
    gone = {"a": None, "b": None}
    removals = linker.removals(gone)
    before = linker.snapshot
    snapshot = linker.update("c2", gone, held=frozenset(removals.projects))
    assert snapshot.desired == before.desired
    assert snapshot.held == {key("a"): "c2", key("b"): "c2"}
    assert set(snapshot.key_problems) == {key("a"), key("b")}
    assert snapshot.key_problems[key("a")] == (
        "a: default/a/prod was removed by commit c2 together with 1 other project, more than the budget allows: it is held "
        "in force. Restore it, or commit this with a reason: `{apiVersion: prodsprint/v1, kind: Approval, "
        "workspace: default, "
        f'name: removal-{removals.digest[:12]}, removal: {removals.digest}, reason: ""}}`'
    )
    assert [problem.code for problem in snapshot.problems] == [Code.REMOVAL_HELD] * 2


def test_held_removal_goes_on_being_one_until_it_is_approved_or_comes_back():
    linker = started(one("a", "a", 1), one("b", "b", 2), one("c", "c", 3))
    gone = {"a": None, "b": None}
    first = linker.removals(gone)
    linker.update("c2", gone, held=frozenset(first.projects))
    later = linker.removals(one("d", "d", 4))
    assert (later.keys, later.digest) == (first.keys, first.digest)
    linker.update("c3", one("d", "d", 4), held=frozenset(later.projects))
    assert linker.snapshot.held == {key("a"): "c2", key("b"): "c2"}
    assert linker.update("c4", one("a", "a", 1), held=names("b")).held == {key("b"): "c2"}
    approval = {"w": file(document("w", "Approval", "ok", {"removal": first.digest}))}
    snapshot = linker.update("c5", approval)
    assert {each: gone.commit for each, gone in snapshot.tombstones.items()} == {key("b"): "c2"}
    assert not snapshot.held


def test_held_environment_stays_while_the_rest_of_its_project_moves_on():
    linker = started(two())
    less = two(("prod",), instances=5)
    removals = linker.removals(less)
    snapshot = linker.update("c2", less, held=frozenset(removals.shrunk))
    assert (snapshot.desired[key("a")].instances, snapshot.desired[key("a", "eu")].instances) == (5, 1)
    assert snapshot.held == {key("a", "eu"): "c2"}
    assert not snapshot.tombstones


def test_held_port_is_named_as_such():
    linker = started(one("a", "a", 1))
    snapshot = linker.update("c2", {"a": None, **one("b", "b", 1)}, held=names("a"))
    assert "port 1 belongs to default/a/prod too, whose removal from a is held" in snapshot.key_problems[key("b")]


def test_removals_are_counted_repo_by_repo():
    repos = {"one": (), "two": ()}
    linker = started(one("one:a", "a", 1), one("two:b", "b", 2), one("two:c", "c", 3), repos=repos)
    linker.update("c2", {"two:b": None}, held=names("b"), repo="two")
    assert linker.removals({"one:a": None}, "one").projects == (("default", "a"),)
    assert (linker.removals({}, "one").before, linker.removals({}, "two").before) == (1, 2)
    assert linker.removals({"one:a": None}, "two").projects == (("default", "b"),)
    snapshot = linker.update("c3", {"one:a": None}, repo="one")
    assert (set(snapshot.held), set(snapshot.tombstones)) == ({key("b")}, {key("a")})
    assert linker.removals({}, "one").before == 0


def test_project_that_moves_to_another_repo_in_the_same_update_is_not_removed():
    linker = started(one("one:a", "a", 1), repos={"one": (), "two": ()})
    moved = {"one:a": None, **one("two:a", "a", 1)}
    assert linker.removals(moved, "one").keys == ()
    assert not linker.update("c2", moved).tombstones


def test_everything_removed_at_once_is_all_in_the_removals():
    linker = started(*(one(f"f{n}", f"p{n}", n + 1) for n in range(50)))
    found = linker.removals({f"f{n}": None for n in range(50)})
    assert (len(found.projects), found.before) == (50, 50)


# --- where a key comes from ---


def test_origin_of_a_key_is_its_file_and_document():
    linker = started(one("a", "a", 1))
    path, draft = linker.snapshot.origin(key("a"))
    assert (path, draft.name) == ("a", "a")
    assert linker.update("c2", one("b", "b", 1, problem="broken")).origin(key("b"))[0] == "b"
    both = linker.update("c3", one("0", "a", 5))
    assert both.origin(key("a"))[0] == "a"
    assert linker.update("c4", {"0": None, "a": None}).origin(key("a")) is None


def test_layers_are_the_workspaces_and_targets_in_force():
    linker = started(
        {"w": file(document("w", "Workspace", "default", {"defaults": {"instances": 2}}))},
        {"t": file(document("t", "Target", "blue", {"type": "process"}), document("t", "Waiver", "w"))},
    )
    linker.update("c2", {"t": file(document("t", "Target", "blue", problem="broken"))})
    assert [(draft.kind, draft.body != "") for draft in linker.layer_drafts()] == [
        ("Target", True),
        ("Workspace", True),
    ]
