from __future__ import annotations

import pytest
from fakes.troubles import BROKEN, HELD, UNPUSHED

from reconciler.core.trouble import Trouble, approval, brief, file, kind, lasting, place, told


def test_a_problem_is_of_a_manifest_a_removal_or_a_version_that_nobody_has_pushed():
    assert (kind(BROKEN), kind(HELD[1]), kind(HELD[2]), kind(UNPUSHED)) == (
        Trouble.MANIFEST, Trouble.REMOVAL, Trouble.REMOVAL, Trouble.REVISION,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("problem", "short"),
    [
        (BROKEN, "manifest problem: shop/prodsprint.yaml:6:1"),
        ("shop/prodsprint.yaml: is a link. Use a file", "manifest problem: shop/prodsprint.yaml"),
        ("play:a folder/prodsprint.yaml:6:1: no: never", "manifest problem: play:a folder/prodsprint.yaml:6:1"),
        ("the config repo cannot be read: it is away", "the config repo cannot be read: it is away"),
        (HELD[2], "removal held"),
        (UNPUSHED, "revision 'v9' not found"),
    ],
)
def test_a_column_of_a_table_says_what_it_is_and_where(problem, short):
    assert brief(problem) == short


def test_a_place_is_told_only_where_there_is_one():
    assert (place(BROKEN), file(BROKEN)) == ("shop/prodsprint.yaml:6:1", "shop/prodsprint.yaml")
    assert (place("the config repo cannot be read: x"), file("nothing at all")) == ("", "")
    assert file(UNPUSHED) == ""


def test_the_document_that_approves_a_removal_stands_apart_from_what_is_said():
    assert approval(HELD[2]).startswith("{apiVersion: prodsprint/v1, kind: Approval, workspace: acme, name: removal-")
    assert "`" not in told(HELD[2])
    assert told(HELD[2]).startswith(
        "shop.yaml: acme/shop/prod was removed by commit dddddddddddd together with 1 other"
    )
    assert (approval(BROKEN), told(BROKEN)) == ("", BROKEN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BROKEN, f"{BROKEN} (no route to host (gave up))"),
        (f"{BROKEN} (timed out)", f"{BROKEN} (status 503) (again)"),
        (UNPUSHED, f"{UNPUSHED} (connection refused)"),
        (f"{BROKEN} (odd :))", f"{BROKEN} (odd :)))"),
        (HELD[1], HELD[2]),
    ],
)
def test_a_problem_lasts_while_only_its_causes_or_its_company_change(one, other):
    assert lasting(one) == lasting(other)


def test_another_problem_is_another_one():
    assert lasting(BROKEN) != lasting(BROKEN.replace("6:1", "7:1"))
    assert lasting("(no)") == "(no)"
    assert lasting(")") == ")"
