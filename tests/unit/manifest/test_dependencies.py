from __future__ import annotations

import pytest
from link_samples import document, file, linked, one, project

from reconciler.core.desired import Key


def key(name: str, environment: str = "prod", workspace: str = "default") -> Key:
    return Key(workspace, name, environment)


def said(snapshot) -> list[str]:
    return [str(problem) for problem in snapshot.problems]


def codes(snapshot) -> list[str]:
    return [str(problem.code) for problem in snapshot.problems]


# --- what is needed ---


def test_need_without_environment_means_the_one_of_the_same_name_where_there_is_one():
    shop = file(project("a", "shop", {"eu": 1, "prod": 2}, needs=("auth", "db/main")))
    snapshot = linked({"a": shop, **one("b", "auth", 3), "c": file(project("c", "db", {"main": 4}))})
    assert not snapshot.problems
    assert snapshot.desired[key("shop", "eu")].needs == (key("db", "main"),)
    assert snapshot.desired[key("shop")].needs == (key("auth"), key("db", "main"))
    assert snapshot.dependants(key("db", "main")) == (key("shop", "eu"), key("shop"))
    assert snapshot.dependants(key("auth")) == (key("shop"),)
    assert snapshot.dependants(key("shop")) == ()


def test_need_may_name_another_workspace():
    other = file(project("b", "auth", {"prod": 2}, workspace="acme"))
    snapshot = linked({**one("a", "shop", 1, needs=("acme:auth",)), "b": other})
    assert snapshot.desired[key("shop")].needs == (key("auth", workspace="acme"),)


@pytest.mark.parametrize(
    ("need", "message"),
    [
        ("ledger", "a:50:5: there is no project `ledger`. Add it, or correct the name"),
        ("acme:auth", "a:50:5: there is no project `acme/auth`. Add it, or correct the name"),
        ("auth/prdo", "a:50:5: the project `auth` has no environment `prdo`. Did you mean `prod`?"),
        ("db", ("a:50:5: the project `db` has none of the environments of this one, but `main`. "
               "Name the environment that is needed")),
        ("shop", "a:50:5: the project `shop` cannot depend on itself. Order its own environments with `after`"),
    ],
)  # fmt: skip
def test_need_that_leads_nowhere_is_an_error_of_that_document_alone(need, message):
    others = {**one("b", "auth", 2), "c": file(project("c", "db", {"main": 3}))}
    snapshot = linked({**one("a", "shop", 1), **others}, one("a", "shop", 9, needs=(need,)))
    assert said(snapshot) == [message]
    assert snapshot.key_problems == {key("shop"): message}
    assert snapshot.desired[key("shop")].port == 1
    assert snapshot.changed == {key("shop")}


def test_need_is_met_as_soon_as_the_project_is_there():
    snapshot = linked(one("a", "shop", 1, needs=("auth",)), one("b", "auth", 2))
    assert not snapshot.problems
    assert snapshot.changed == {key("shop"), key("auth")}


def test_project_that_is_broken_is_there_still():
    snapshot = linked(
        {**one("a", "shop", 1, needs=("auth",)), **one("b", "auth", 2)}, one("b", "auth", 2, problem="it is broken")
    )
    assert set(snapshot.key_problems) == {key("auth")}
    assert snapshot.desired[key("shop")].needs == (key("auth"),)


def test_removing_what_others_need_leaves_them_as_they_are_with_a_problem():
    snapshot = linked({**one("a", "shop", 1, needs=("auth",)), **one("b", "auth", 2)}, {"b": None})
    assert snapshot.key_problems == {key("shop"): "a:50:5: there is no project `auth`. Add it, or correct the name"}
    assert snapshot.desired[key("shop")].needs == (key("auth"),)
    assert set(snapshot.tombstones) == {key("auth")}


# --- circles ---


def test_circle_is_an_error_in_every_member_with_its_path_and_in_nobody_else():
    files = {
        **one("a", "shop", 1, needs=("payments",)),
        **one("b", "payments", 2, needs=("db", "ledger")),
        **one("c", "ledger", 3, needs=("shop",)),
        **one("d", "db", 4),
        **one("e", "web", 5, needs=("shop",)),
    }
    snapshot = linked(files)
    hint = "Remove one of these dependencies"
    assert said(snapshot) == [
        f"a:50:5: projects wait for each other: shop -> payments -> ledger -> shop. {hint}",
        f"b:51:5: projects wait for each other: payments -> ledger -> shop -> payments. {hint}",
        f"c:50:5: projects wait for each other: ledger -> shop -> payments -> ledger. {hint}",
    ]
    assert set(snapshot.desired) == {key("db"), key("web")}
    assert snapshot.key_problems[key("shop")] == said(snapshot)[0]


def test_circle_across_workspaces_names_them():
    files = {
        **one("a", "shop", 1, needs=("acme:pay",)),
        "b": file(project("b", "pay", {"prod": 2}, workspace="acme", needs=("default:shop",))),
    }
    assert "default/shop -> acme/pay -> default/shop" in said(linked(files))[0]


def test_circle_is_refused_in_whoever_closes_it_and_opens_again():
    two = {**one("a", "shop", 1, needs=("pay",)), **one("b", "pay", 2)}
    snapshot = linked(two, one("b", "pay", 9, needs=("shop",)))
    assert codes(snapshot) == ["cycle", "cycle"]
    assert (snapshot.desired[key("pay")].port, snapshot.desired[key("pay")].needs) == (2, ())
    snapshot = linked(two, one("b", "pay", 9, needs=("shop",)), one("a", "shop", 1))
    assert not snapshot.problems
    assert snapshot.desired[key("pay")].needs == (key("shop"),)


def test_dependency_may_be_turned_around_in_one_commit():
    two = {**one("a", "shop", 1, needs=("pay",)), **one("b", "pay", 2)}
    snapshot = linked(two, {**one("a", "shop", 1), **one("b", "pay", 2, needs=("shop",))})
    assert not snapshot.problems


def test_what_a_broken_project_keeps_waiting_for_counts_in_a_circle():
    two = {**one("a", "shop", 1, needs=("pay",)), **one("b", "pay", 2)}
    snapshot = linked(two, {**one("a", "shop", 1, problem="broken"), **one("b", "pay", 2, needs=("shop",))})
    assert "pay -> shop -> pay" in snapshot.key_problems[key("pay")]
    assert snapshot.desired[key("pay")].needs == ()


def test_circle_of_thousands_is_told_briefly_and_soon():
    ring = {
        f"f{n}": file(project(f"f{n}", f"p{n}", {"prod": n + 1}, needs=(f"p{(n + 1) % 3000}",))) for n in range(3000)
    }
    snapshot = linked(ring)
    assert codes(snapshot) == ["cycle"] * 3000
    assert "p0 -> p1 -> p2 -> p3 -> p4 -> p5 -> (2989 more) -> p2995" in said(snapshot)[0]
    assert max(map(len, said(snapshot))) < 400


def test_knot_of_many_with_one_in_the_middle_is_told_soon():
    leaves = {f"f{n}": file(project(f"f{n}", f"p{n}", {"prod": n + 2}, needs=("hub",))) for n in range(3000)}
    hub = project("hub", "hub", {"prod": 1}, needs=tuple(f"p{n}" for n in range(3000)))
    snapshot = linked({**leaves, "hub": file(hub)})
    assert codes(snapshot) == ["cycle"] * 3001
    assert "p77 -> hub -> p77" in snapshot.key_problems[key("p77")]


# --- order of a project's own environments ---


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (("live",), "`after`: there is no environment `live` in this project. Known here: `none`"),
        (("prod",), "`after`: `prod` cannot wait for itself. Name another environment, or `none`"),
    ],
)
def test_after_that_leads_nowhere(after, message):
    snapshot = linked(one("a", "shop", 1, after=after))
    assert said(snapshot) == [f"a:30:12: {message}"]
    assert not snapshot.desired


def test_after_in_a_circle_shows_its_path():
    draft = project("a", "shop", {"eu": 1, "us": 2})
    eu, us = draft.wishes
    turned = [
        type(wish)(
            type(wish.desired)(**{f: getattr(wish.desired, f) for f in wish.desired.__slots__} | {"after": (other,)}),
            wish.versions, wish.ports, (wish.ports[0],),
        )
        for wish, other in ((eu, "us"), (us, "eu"))
    ]  # fmt: skip
    changed = type(draft)("Project", "default", "shop", draft.place, draft.keys, tuple(turned), "")
    assert [problem.message for problem in linked({"a": file(changed)}).problems] == [
        "`after`: environments wait for each other: eu -> us -> eu",
        "`after`: environments wait for each other: us -> eu -> us",
    ]


# --- what waivers, approvals and freezes are for ---


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("Waiver", {"scope": {"project": "shop", "environment": "prod"}}, None),
        ("Waiver", {"scope": {"release": "a" * 12}}, None),
        ("Waiver", {"scope": {"environment": "prod"}}, None),
        ("Waiver", {"scope": {"project": "shpo"}}, "there is no project `shpo` in the workspace `default`"),
        ("Waiver", {"scope": {"project": "shop", "environment": "qa"}}, "there is no environment `qa` in `shop`"),
        ("Approval", {"project": "shop", "environment": "prod"}, None),
        ("Approval", {"removal": "a" * 12}, None),
        ("Approval", {"project": "other"}, "there is no project `other` in the workspace `default`"),
        ("Freeze", {"scope": {"projects": ["shop", "pay"], "environments": ["prod"]}},
         "there is no project `pay` in the workspace `default`"),
        ("Freeze", {"scope": {"environments": ["qa"]}}, "there is no environment `qa` in the workspace `default`"),
        ("PolicyPack", {"scope": {"project": "pay"}}, None),
    ],
)  # fmt: skip
def test_scope_names_what_is_there(kind, body, message):
    snapshot = linked({**one("a", "shop", 1), "w": file(document("w", kind, "it", body))})
    assert [problem.message for problem in snapshot.problems] == ([message] if message else [])
    assert set(snapshot.documents) == (set() if message else {(kind, "default", "it")})
    assert set(snapshot.desired) == {key("shop")}


def test_scope_is_looked_at_again_when_its_project_goes_and_comes():
    waiver = file(document("w", "Waiver", "it", {"scope": {"project": "shop"}}))
    both = {**one("a", "shop", 1), "w": waiver}
    gone = linked(both, {"a": None})
    assert codes(gone) == ["unknown-project"]
    assert set(gone.documents) == set(gone.survivors) == {("Waiver", "default", "it")}
    back = linked(both, {"a": None}, one("a", "shop", 1))
    assert not back.problems
    assert not back.survivors


def test_broken_document_keeps_its_last_good_form_and_a_removed_one_is_gone():
    good = {"w": file(document("w", "Freeze", "it", {"reason": "1"}))}
    broken = linked(good, {"w": file(document("w", "Freeze", "it", problem="broken"))})
    assert '"1"' in broken.documents["Freeze", "default", "it"].body
    assert broken.amended == {("Freeze", "default", "it")}
    assert not linked(good, {"w": None}).documents


def test_two_documents_of_one_kind_and_name_are_refused_and_the_first_form_stays():
    good = {"w": file(document("w", "Freeze", "it", {"reason": "1"}))}
    snapshot = linked(good, {"x": file(document("x", "Freeze", "it", {"reason": "2"}))})
    assert [problem.message for problem in snapshot.problems] == [
        "the Freeze `it` of the workspace `default` is also in x:3:7",
        "the Freeze `it` of the workspace `default` is also in w:3:7",
    ]
    assert '"1"' in snapshot.documents["Freeze", "default", "it"].body
    assert not linked(good, {"x": file(document("x", "Waiver", "it"))}).problems
