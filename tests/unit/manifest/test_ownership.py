from __future__ import annotations

import pytest
from link_samples import document, file, linked, one, project

from reconciler.core.desired import Component, Key
from reconciler.manifest.ownership import below, lies


def key(name: str, environment: str = "prod", workspace: str = "default") -> Key:
    return Key(workspace, name, environment)


def said(snapshot) -> list[str]:
    return [str(problem) for problem in snapshot.problems]


def workspace(name: str = "default", path: str = "w", problem: str = "", **body):
    return {path: file(document(path, "Workspace", name, body, problem=problem))}


def named(path: str, name: str, port: int, owner: str, **more):
    return {path: file(project(path, name, {"prod": port}, workspace=owner, **more))}


# --- declared workspaces ---


def test_without_workspace_documents_every_workspace_is_there():
    assert not linked(named("a", "shop", 1, "anything")).problems


def test_first_workspace_makes_every_document_name_a_declared_one():
    before = {**one("a", "shop", 1), **named("b", "pay", 2, "paymets")}
    snapshot = linked(before, workspace("payments"))
    assert said(snapshot) == [
        "a:3:7: the workspace `default` is not declared. Declare it in a Workspace document, or name one of `payments`",
        "b:3:7: the workspace `paymets` is not declared. Did you mean `payments`?",
    ]
    assert set(snapshot.desired) == {key("shop"), key("pay", workspace="paymets")}
    assert not linked(before, workspace("payments"), {"w": None}).problems


def test_broken_first_workspace_changes_nothing():
    assert not linked(one("a", "shop", 1), workspace("acme", problem="broken")).key_problems


def test_broken_new_workspace_is_named_in_its_documents():
    snapshot = linked(workspace(), {**workspace("acme", "v", problem="broken"), **named("a", "shop", 1, "acme")})
    assert snapshot.key_problems == {
        key("shop", workspace="acme"): "a:3:7: the workspace `acme` is declared in v:3:7, which has a problem. "
        "Mend that document"
    }


def test_broken_workspace_keeps_its_last_good_form_in_force():
    allowing = workspace(allow={"targets": ["kubernetes"]})
    snapshot = linked({**allowing, **one("a", "shop", 1, target="kubernetes")}, workspace(problem="broken"))
    assert set(snapshot.documents) == set(snapshot.survivors) == {("Workspace", "default", "default")}
    snapshot = linked({**allowing}, workspace(problem="broken"), one("a", "shop", 1, target="process"))
    assert [str(problem.code) for problem in snapshot.problems] == ["not-allowed", "wrong-value"]


def test_unknown_workspaces_by_the_thousand_are_told_soon():
    spaces = {f"w{n}": file(document(f"w{n}", "Workspace", f"team-{n}")) for n in range(2000)}
    strays = {f"p{n}": file(project(f"p{n}", "x", {"prod": n + 1}, workspace=f"tean-{n}")) for n in range(2000)}
    snapshot = linked({**spaces, **strays})
    assert "Did you mean `team-7`?" in snapshot.key_problems[key("x", workspace="tean-7")]
    assert len(snapshot.problems) == 2000


# --- what a workspace allows ---


@pytest.mark.parametrize(
    ("allow", "more", "message"),
    [
        ({"targets": ["process"]}, {}, None),
        ({"targets": ["kubernetes"]}, {},
         "the workspace `default` does not allow the target `process`. Allowed here: `kubernetes`"),
        ({"targets": []}, {}, "the workspace `default` does not allow the target `process`. Allowed here: none"),
        ({"targets": ["blue"]}, {"uses": ("blue",)}, None),
        ({"targets": ["blue"]}, {"uses": ("green",), "target": "blue"}, None),
        ({"targets": ["kubernetes"]}, {"uses": ("green",), "target": "kubernetes"}, None),
        ({"sources": ["https://example.com/"]}, {}, None),
        ({"sources": ["https://example.com/pay"]}, {},
         ("the workspace `default` does not allow the source `https://example.com/shop.git`. "
         "Allowed here: `https://example.com/pay`")),
        ({"paths": ["teams/*/a"]}, {},
         "manifests of the workspace `default` lie in `teams/*/a`, not in a. Move the file, or correct `workspace`"),
    ],
)  # fmt: skip
def test_workspace_allows(allow, more, message):
    snapshot = linked({**workspace(allow=allow), **one("a", "shop", 1, **more)})
    assert [f"{problem.message}. {problem.hint}" for problem in snapshot.problems] == ([message] if message else [])
    assert bool(snapshot.desired) is (message is None)


def test_every_component_has_to_be_from_an_allowed_source():
    artifact = type(project("a", "x", {"prod": 1}).wishes[0].desired.artifact)
    other = Component("worker", artifact("https://evil.org/x.git", "", "v1"), "{}", "{}", 1, 2)
    snapshot = linked(
        {**workspace(allow={"sources": ["https://example.com/"]}), **one("a", "shop", 1, components=(other,))}
    )
    assert ["https://evil.org/x.git" in text for text in said(snapshot)] == [True]
    assert not snapshot.wanted


def test_what_is_not_allowed_any_more_stays_as_it_is_with_a_problem():
    snapshot = linked({**workspace(), **one("a", "shop", 1)}, workspace(allow={"targets": ["kubernetes"]}))
    assert set(snapshot.desired) == set(snapshot.key_problems) == {key("shop")}


@pytest.mark.parametrize(
    ("source", "prefix", "inside"),
    [
        ("https://github.com/acme/x.git", "https://github.com/acme", True),
        ("https://github.com/acme", "https://github.com/acme", True),
        ("https://github.com/acme-evil/x.git", "https://github.com/acme", False),
        ("https://github.com/acme/x.git", "https://github.com/", True),
        ("https://github.com.evil.org/x.git", "https://github.com", False),
        ("https://github.com:8443/x.git", "https://github.com", False),
        ("https://github.com/acme/../evil/x.git", "https://github.com/acme", False),
        ("https://github.com/acme/%2e%2E/evil/x.git", "https://github.com/acme", False),
        ("https://github.com/acme/..%2fevil/x.git", "https://github.com/acme/", False),
        ("git@github.com:acme/x.git", "git@github.com", True),
        ("git@github.com:acme/x.git", "git@github.com:acme", True),
        ("git@github.com:acmes/x.git", "git@github.com:acme", False),
    ],
)
def test_source_is_below_a_prefix_at_a_boundary(source, prefix, inside):
    assert below(source, prefix) is inside


@pytest.mark.parametrize(
    ("path", "glob", "inside"),
    [
        ("teams/pay/a.prodsprint.yaml", "teams/pay/**", True),
        ("teams/pay/x/y/a.prodsprint.yaml", "teams/pay/**", True),
        ("teams/pay/a.prodsprint.yaml", "teams/*/*.yaml", True),
        ("teams/pay/x/a.prodsprint.yaml", "teams/*/*.yaml", False),
        ("teams/payments/a.prodsprint.yaml", "teams/pay/**", False),
        ("teams/pay", "teams/pay/**", True),
        ("a/b/c/prodsprint.yaml", "**/prodsprint.yaml", True),
        ("prodsprint.yaml", "**/prodsprint.yaml", True),
        ("x/Pay/prodsprint.yaml", "x/pay/**", False),
        ("x/a1/prodsprint.yaml", "x/a?/*", True),
        ("/".join("a" * 40), "/".join(["**", "a"] * 40 + ["b"]), False),
        ("a" * 200, "*a" * 8 + "b", False),
    ],
)
def test_file_lies_where_a_glob_says(path, glob, inside):
    assert lies(path, glob) is inside


# --- quotas ---


@pytest.mark.parametrize(
    ("quotas", "refused"),
    [
        ({"projects": 2}, {"c"}),
        ({"environments": 2}, {"c"}),
        ({"instances": 5}, {"b"}),
        ({"instances": 0}, {"a", "b", "c"}),
        ({"projects": 3, "environments": 3, "instances": 12}, set()),
    ],
)
def test_cold_start_grants_by_name_what_fits(quotas, refused):
    files = {**one("3", "a", 1, instances=3), **one("2", "b", 2, instances=7), **one("1", "c", 3, instances=2)}
    snapshot = linked({**workspace(quotas=quotas), **files})
    assert {each.project for each in snapshot.key_problems} == refused
    assert {each.project for each in snapshot.desired} == {"a", "b", "c"} - refused
    assert {str(problem.code) for problem in snapshot.problems} <= {"quota"}


def test_quota_message_says_what_there_may_be_and_would_be():
    snapshot = linked({**workspace(quotas={"projects": 1}), **one("a", "a", 1)}, one("b", "b", 2))
    assert said(snapshot) == [
        (
            "b:3:7: the workspace `default` may have 1 project, and would have 2 with this project. "
            "Remove something else, or have the quota raised"
        )
    ]


def test_what_is_in_force_stays_when_a_quota_comes_and_only_more_is_refused():
    files = {**workspace(), **one("b", "b", 1, instances=4), **one("c", "c", 2, instances=4)}
    tight = workspace(quotas={"instances": 5})
    snapshot = linked(
        files, tight, {**one("a", "a", 3), **one("b", "b", 1, instances=5), **one("c", "c", 9, instances=3)}
    )
    assert {each.project for each in snapshot.key_problems} == {"a", "b"}
    assert snapshot.desired[key("b")].instances == 4
    assert (snapshot.desired[key("c")].instances, snapshot.desired[key("c")].port) == (3, 9)


def test_refused_project_is_granted_as_soon_as_there_is_room():
    files = {**workspace(quotas={"projects": 1}), **one("a", "a", 1), **one("b", "b", 2)}
    snapshot = linked(files, {"a": None})
    assert set(snapshot.desired) == {key("b")}
    assert not snapshot.problems
    assert set(linked(files, workspace()).desired) == {key("a"), key("b")}


def test_components_count_as_instances():
    artifact = type(project("a", "x", {"prod": 1}).wishes[0].desired.artifact)
    worker = Component("worker", artifact("https://example.com/x.git", "", "v1"), "{}", "{}", 3, 2)
    snapshot = linked({**workspace(quotas={"instances": 3}), **one("a", "shop", 1, components=(worker,))})
    assert "and would have 4 with this project" in said(snapshot)[0]


# --- config repos that speak for some workspaces ---

REPOS = {"platform": (), "acme": ("acme",)}


def test_repo_speaks_for_its_own_workspaces_only():
    snapshot = linked({**named("acme:a", "x", 1, "acme"), **named("acme:b", "y", 2, "default")}, repos=REPOS)
    assert said(snapshot) == [
        (
            "acme:b:3:7: this config repo speaks for `acme` only, not for the workspace `default`. "
            "Correct `workspace`, or move the document"
        )
    ]
    assert set(snapshot.desired) == {key("x", workspace="acme")}


def test_limited_repo_cannot_say_what_its_own_workspace_may_do():
    snapshot = linked(
        {**workspace("acme", "platform:w", quotas={"projects": 0}), **workspace("acme", "acme:w")}, repos=REPOS
    )
    assert [problem.place.file for problem in snapshot.problems] == ["acme:w"]
    assert "Move the Workspace to a config repo without that limit" in said(snapshot)[0]
    assert snapshot.documents["Workspace", "acme", "acme"].place.file == "platform:w"


def test_document_that_may_not_be_there_takes_nobody_elses_name_or_environment():
    mine = named("platform:a", "shop", 1, "default")
    snapshot = linked(mine, named("acme:a", "shop", 2, "default"), repos=REPOS)
    assert [problem.place.file for problem in snapshot.problems] == ["acme:a"]
    assert (snapshot.desired[key("shop")].port, dict(snapshot.key_problems)) == (1, {})


def test_source_of_a_refused_document_is_not_fetched():
    assert not linked(named("acme:a", "shop", 2, "default"), repos=REPOS).wanted


def test_only_repo_may_be_limited_too():
    snapshot = linked(named("a", "x", 1, "default"), repos={"": ("acme",)})
    assert [str(problem.code) for problem in snapshot.problems] == ["not-allowed"]
