from __future__ import annotations

from manifest_samples import MINIMAL, compiled, edited, project

from reconciler.core.desired import Key

PROD = Key("default", "hello", "prod")


def key(name: str, env: str = "prod") -> Key:
    return Key("default", name, env)


def test_two_documents_of_one_project_are_both_refused():
    before = compiled({"a.prodsprint.yaml": MINIMAL})
    after = compiled({"a.prodsprint.yaml": edited(("8080", "1")), "b.prodsprint.yaml": edited(("8080", "2"))}, before)
    assert after.desired == before.desired
    assert [str(problem).split(". ")[0] for problem in after.problems] == [
        "a.prodsprint.yaml:3:7: the project `hello` of the workspace `default` is also in b.prodsprint.yaml:3:7",
        "b.prodsprint.yaml:3:7: the project `hello` of the workspace `default` is also in a.prodsprint.yaml:3:7",
    ]
    assert set(after.key_problems) == {PROD}


def test_same_name_in_two_workspaces_is_fine():
    other = edited(("name: hello\n", "name: hello\nworkspace: acme\n"), ("8080", "8081"))
    after = compiled({"a.prodsprint.yaml": MINIMAL, "b.prodsprint.yaml": other})
    assert set(after.desired) == {PROD, Key("acme", "hello", "prod")}


def test_project_cannot_be_taken_over_while_its_file_is_unreadable():
    before = compiled({"a.prodsprint.yaml": MINIMAL})
    after = compiled({"a.prodsprint.yaml": "{", "b.prodsprint.yaml": edited(("8080", "1"))}, before)
    assert after.desired == before.desired
    assert "is also in a.prodsprint.yaml" in after.key_problems[PROD]


def test_project_may_move_to_another_file():
    before = compiled({"a.prodsprint.yaml": MINIMAL})
    after = compiled({"b.prodsprint.yaml": MINIMAL}, before)
    assert not after.problems
    assert after.desired[PROD].path == "b.prodsprint.yaml"


def test_port_of_another_project_is_refused_in_both_and_both_keep_theirs():
    files = {"a.prodsprint.yaml": project("a", 1), "b.prodsprint.yaml": project("b", 2)}
    before = compiled(files)
    after = compiled({"a.prodsprint.yaml": project("a", 3), "b.prodsprint.yaml": project("b", 3)}, before)
    assert [str(problem) for problem in after.problems] == [
        "a.prodsprint.yaml:10:11: port 3 belongs to default/b/prod too, in b.prodsprint.yaml:10:11. Choose another port",
        "b.prodsprint.yaml:10:11: port 3 belongs to default/a/prod too, in a.prodsprint.yaml:10:11. Choose another port",
    ]
    assert after.desired == before.desired
    assert set(after.key_problems) == {key("a"), key("b")}


def test_port_that_is_kept_is_not_given_away():
    before = compiled({"a.prodsprint.yaml": project("a", 1)})
    broken = project("a", 1).replace("command", "comand")
    after = compiled({"a.prodsprint.yaml": broken, "b.prodsprint.yaml": project("b", 1)}, before)
    assert set(after.desired) == {key("a")}
    assert (
        "port 1 belongs to default/a/prod too, in a.prodsprint.yaml, as it was before" in after.key_problems[key("b")]
    )


def test_conflict_that_keeps_an_old_port_is_followed_to_the_end():
    before = compiled({f"{name}.prodsprint.yaml": project(name, port) for name, port in (("a", 1), ("b", 2), ("c", 3))})
    changed = {f"{name}.prodsprint.yaml": project(name, port) for name, port in (("a", 4), ("b", 4), ("c", 1))}
    after = compiled(changed, before)
    assert {k.project: desired.port for k, desired in after.desired.items()} == {"a": 1, "b": 2, "c": 3}


def test_ports_may_be_swapped():
    before = compiled({"a.prodsprint.yaml": project("a", 1), "b.prodsprint.yaml": project("b", 2)})
    after = compiled({"a.prodsprint.yaml": project("a", 2), "b.prodsprint.yaml": project("b", 1)}, before)
    assert not after.problems
    assert after.desired[key("a")].port == 2
