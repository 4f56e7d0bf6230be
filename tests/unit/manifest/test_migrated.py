from __future__ import annotations

import pytest

from reconciler.manifest.draft import draft_file
from reconciler.manifest.rewrite import migrated, tidied

OLD = """\
# The shop.
apiVersion: prodsprint/v1alpha1   # the language
kind: Project
metadata:   # who
  # its name
  name: shop   # unique
  workspace: default
  # no labels yet
# what
spec:
  source: https://example.com/shop.git   # with a tag
  version: "1.10"
  process:
    command: python3 app.py
    env: {LOG: info}
  environments:
    - name: staging
      port: 8080
      strategy: {allAtOnce: {}}
    # the real one
    - name: prod
      port: 8081   # public

      # slowly
      strategy:   # how
        canary:
          steps:   # weights
            - 5%
            # nothing between
            - 100%
          bake: 90s
          # no drain
      instances: 3
  # end of spec
"""
NEW = """\
# The shop.
apiVersion: prodsprint/v1         # the language
kind: Project
# who
# its name
name: shop   # unique
workspace: default
# no labels yet
# what
source: https://example.com/shop.git   # with a tag
version: "1.10"
process:
  command: python3 app.py
  env: {LOG: info}
environments:
  - name: staging
    port: 8080
    release: {strategy: all-at-once}
  # the real one
  - name: prod
    port: 8081   # public

    # slowly
    release:    # how
      strategy: canary
      steps:   # weights
        - 5%
        # nothing between
        - 100%
      bake: 90s
      # no drain
    instances: 3
# end of spec
"""


def codes(content: str) -> list[str]:
    return [problem.code.value for problem in migrated("f.yaml", content.encode()).problems]


def test_the_oldest_version_becomes_the_newest():
    found = migrated("f.yaml", OLD.encode())
    assert found.text == NEW
    assert found.steps == ("prodsprint/v1",)


def test_what_comes_out_is_fine():
    assert draft_file("f.yaml", "", OLD.encode()).problems
    assert not draft_file("f.yaml", "", NEW.encode()).problems


def test_migrating_twice_changes_nothing():
    again = migrated("f.yaml", NEW.encode())
    assert (again.text, again.steps) == (NEW, ())


def test_a_file_in_the_newest_version_is_not_touched_whatever_its_form():
    content = b"\xef\xbb\xbfapiVersion:    prodsprint/v1\r\nkind: 'Project'\r\n"
    assert migrated("f.yaml", content).text.encode() == content


def test_only_the_old_documents_of_a_file_change():
    found = migrated("f.yaml", f"{NEW}---\n{OLD}".encode())
    assert found.text == f"{NEW}---\n{NEW}"
    assert found.steps == ("prodsprint/v1",)


def test_fmt_leaves_the_version_alone():
    assert "apiVersion: prodsprint/v1alpha1" in tidied("f.yaml", OLD.encode()).text


def test_a_document_in_braces_is_migrated_too():
    content = "{apiVersion: prodsprint/v1alpha1, metadata: {name: x}, spec: {version: v1, environments: []}}\n"
    assert migrated("f.yaml", content.encode()).text == (
        "apiVersion: prodsprint/v1\nname: x\nversion: v1\nenvironments: []\n"
    )


HEAD = "apiVersion: prodsprint/v1alpha1\nkind: Project\n"
STRATEGY = f"{HEAD}spec:\n  environments:\n    - name: prod\n"


@pytest.mark.parametrize(
    ("content", "where", "words"),
    [
        (f"{HEAD}metadata: shop\n", "3:11", "`metadata` has to be a mapping"),
        (f"{HEAD}spec: [1]\n", "3:7", "`spec` has to be a mapping"),
        (f"{HEAD}name: x\nmetadata:\n  name: y\n", "5:9", "`name` is there and in `metadata` too"),
        (f"{HEAD}metadata: {{spec: 1}}\nspec: {{a: 1}}\n", "3:18", "`spec` is there and in `metadata` too"),
        (
            f"{STRATEGY}      strategy: canary\n",
            "6:17",
            "`strategy` has to hold `canary` or `allAtOnce` and nothing else",
        ),
        (f"{STRATEGY}      strategy: {{blueGreen: {{}}}}\n", "6:29", "there is no strategy `blueGreen`"),
        (f"{STRATEGY}      strategy: {{canary: []}}\n", "6:26", "`canary` has to be a mapping"),
        (f"{STRATEGY}      strategy: {{canary: {{strategy: x}}}}\n", "6:37", "`strategy` is in `canary` already"),
        (f"{STRATEGY}      release: {{}}\n      strategy: {{}}\n", "7:17", "`strategy` and `release` are there both"),
    ],
)
def test_what_cannot_be_migrated_is_refused_where_it_stands(content, where, words):
    (problem,) = migrated("f.yaml", content.encode()).problems
    assert problem.code == "rewrite-refused"
    assert str(problem) == f"f.yaml:{where}: this cannot become prodsprint/v1: {words}. Change it by hand"


@pytest.mark.parametrize("rewrite", [migrated, tidied])
def test_a_version_that_nobody_knows_is_a_problem(rewrite):
    for version in ("prodsprint/v2", "v1beta1", "[1]"):
        found = rewrite("f.yaml", f"kind: Project\napiVersion: {version}\n".encode())
        (problem,) = found.problems
        assert (problem.code, str(problem.place), found.text) == ("unknown-version", "f.yaml:2:13", "")
        assert "`apiVersion`: expected `prodsprint/v1`, `prodsprint/v1alpha1`, found " in problem.message
    assert rewrite("f.yaml", b"a: 1\n").text == "a: 1\n"


def test_a_file_that_cannot_be_read_is_refused_with_its_problems():
    assert codes("a: &x 1\n") == ["yaml-alias"]
    assert codes("- 1\n") == ["wrong-type"]


def test_validate_says_what_to_run():
    (problem,) = draft_file("f.yaml", "", OLD.encode()).problems
    assert str(problem) == (
        "f.yaml:2:13: `apiVersion`: expected `prodsprint/v1`, found the text `prodsprint/v1alpha1`. "
        "Run `prodsprint migrate`"
    )
