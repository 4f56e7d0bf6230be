"""A problem points at the words that are wrong, also where only other documents show that they are."""

from __future__ import annotations

import pytest
from manifest_samples import MINIMAL, compiled, edited

from reconciler.core.desired import Key
from reconciler.manifest.draft import draft_file
from reconciler.manifest.recordcodec import decode, encode

HEAD = "apiVersion: prodsprint/v1\nkind: {kind}\nname: one\n"
WAIVER = "scope: {{{scope}}}\ngates: [tests]\nreason: It is known.\nticket: SEC-1\nexpires: 2026-12-24\n"
OWN = "apiVersion: prodsprint/v1\nkind: Workspace\nname: default\n"


def said(**texts: str) -> list[str]:
    files = {f"{name}.prodsprint.yaml": text for name, text in texts.items()}
    return [str(problem).split(". ")[0].replace(".prodsprint.yaml", "") for problem in compiled(files).problems]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("project: nosuch", "w:4:18: there is no project `nosuch` in the workspace `default`"),
        ("environment: prd", "w:4:22: there is no environment `prd` in the workspace `default`"),
        ("project: hello, environment: prd", "w:4:38: there is no environment `prd` in `hello`"),
    ],
)
def test_scope_that_leads_nowhere(scope, expected):
    assert said(a=MINIMAL, w=HEAD.format(kind="Waiver") + WAIVER.format(scope=scope)) == [expected]


def test_lists_of_a_scope_and_the_fields_of_an_approval():
    freeze = HEAD.format(kind="Freeze") + (
        "scope:\n  projects:\n    - hello\n    - nosuch\n  environments: [prod, prd]\nreason: why\n"
        "from: 2026-12-24T18:00:00Z\nuntil: 2026-12-26T18:00:00Z\n"
    )
    approval = HEAD.format(kind="Approval") + (
        "release: 0123456789ab\nproject: nosuch\nenvironment: prod\nreason: why\n"
    )
    assert said(a=MINIMAL, f=freeze, x=approval) == [
        "f:7:7: there is no project `nosuch` in the workspace `default`",
        "f:8:24: there is no environment `prd` in `hello`, `nosuch`",
        "x:5:10: there is no project `nosuch` in the workspace `default`",
    ]


def test_workspace_that_is_not_declared():
    other = edited(("hello\n", "other\nworkspace: payy\n"), ("8080", "8081"))
    assert said(a=MINIMAL, b=other, w=OWN) == ["b:4:12: the workspace `payy` is not declared"]


def test_what_a_workspace_does_not_allow():
    shop = edited(("    port: 8080\n", "    port: 8080\n    target: process\n"))
    allow = f"{OWN}allow:\n  targets: [kubernetes]\n  sources: ['https://git.acme.org/']\n"
    assert said(a=shop, w=allow) == [
        "a:4:9: the workspace `default` does not allow the source `https://example.com/hello.git`",
        "a:11:13: the workspace `default` does not allow the target `process`",
    ]
    assert said(a=MINIMAL, w=allow)[0].startswith("a:3:7: the workspace `default` does not allow the target")


def test_source_of_one_component():
    text = (
        "apiVersion: prodsprint/v1\nkind: Project\nname: shop\nsource: https://git.acme.org/shop.git\nversion: v1\n"
        "process: {command: x}\ncomponents:\n  - name: web\n  - name: api\n    source: https://evil.org/api.git\n"
        "environments:\n  - name: prod\n    ports: {web: 1, api: 2}\n"
    )
    found = said(a=text, w=f"{OWN}allow: {{sources: ['https://git.acme.org/']}}\n")
    assert found == ["a:10:13: the workspace `default` does not allow the source `https://evil.org/api.git`"]


def test_a_file_in_the_wrong_folder_still_says_what_else_its_workspace_does_not_allow():
    allow = f"{OWN}allow: {{paths: [teams/**], sources: ['https://git.acme.org/']}}\n"
    shop = edited(("hello\n", "hello\nworkspace: default\n"))
    assert said(a=shop, w=allow) == [
        "a:4:12: manifests of the workspace `default` lie in `teams/**`, not in a",
        "a:5:9: the workspace `default` does not allow the source `https://example.com/hello.git`",
    ]
    assert (
        Key("default", "hello", "prod") not in compiled({"a.prodsprint.yaml": shop, "w.prodsprint.yaml": allow}).desired
    )


def test_places_survive_the_record():
    text = edited(("hello\n", "hello\nworkspace: acme\n")).encode()
    waiver = (HEAD.format(kind="Waiver") + WAIVER.format(scope="project: x")).encode()
    for content in (text, waiver):
        drafted = draft_file("a.prodsprint.yaml", "b", content)
        assert drafted.drafts[0].spots
        assert decode("a.prodsprint.yaml", "b", encode("a.prodsprint.yaml", drafted)) == drafted
