"""Every effective field of an environment, and the line that says it."""

from __future__ import annotations

import pytest
from layer_samples import COMPONENTS, SHOP, target, workspace
from manifest_samples import MINIMAL, edited, environment

from reconciler.core.desired import Key
from reconciler.manifest.explain import UnknownKeyError, explain, written

HELLO = Key("acme", "hello", "prod")


def explained(*texts: str, key: Key = HELLO):
    return {row.path: row for row in explain({f"f{n}.yaml": text.encode() for n, text in enumerate(texts)}, key)}


def told(row) -> list[tuple[str, str, str]]:
    return [(said.value, said.layer, str(said.place or "")) for said in row.said]


def test_every_field_has_a_value_and_a_source():
    rows = explained(MINIMAL, key=Key("default", "hello", "prod"))
    assert [(row.path, row.value, str(row.said[0].place or row.said[0].layer)) for row in list(rows.values())[:7]] == [
        ("source", "https://example.com/hello.git", "f0.yaml:4:9"),
        ("version", "v1", "f0.yaml:5:10"),
        ("port", "8080", "f0.yaml:10:11"),
        ("after", "none", "built-in"),
        ("owners", "none", "built-in"),
        ("dependsOn", "none", "built-in"),
        ("target", "process", "built-in"),
    ]
    assert rows["release.bake"].value == "5m"
    assert rows["release.strategy"].value == "canary"
    assert rows["release.steps"].value == "[1%, 5%, 25%, 100%]"
    assert rows["analysis.errorBudget"].value == "1%"
    assert rows["process.command"].value == "python3 app.py"
    assert rows["process.healthInterval"].value == "1s"
    assert all(row.said[0].value for row in rows.values())


def test_a_field_is_told_with_all_layers_that_it_overrides():
    text = edited(
        ("app.py\n", "app.py\n  health: /p\n"),
        ("8080\n", "8080\n    target: vm\n    process: {health: /e}\n"),
        text=SHOP,
    )
    rows = explained(text, workspace("process: {health: /w}"), target("vm", "health: /t"))
    assert told(rows["process.health"]) == [
        ("/e", "environment", "f0.yaml:14:23"),
        ("/p", "project", "f0.yaml:9:11"),
        ("/t", "target vm", "f2.yaml:7:11"),
        ("/w", "workspace acme", "f1.yaml:5:21"),
        ("/", "built-in", ""),
    ]
    assert told(rows["target"]) == [("vm", "environment", "f0.yaml:13:13"), ("process", "built-in", "")]


def test_variables_are_never_shown():
    text = edited(("app.py\n", "app.py\n  env: {A: hunter22, B: x}\n  buildEnv: {C: hunter22}\n"), text=SHOP)
    rows = explained(text, workspace("process: {env: {A: hunter2}}"))
    assert "hunter2" not in str(rows)
    assert [said.value for said in rows["process.env.A"].said] == ["(8 characters)", "(7 characters)"]
    assert rows["process.env.B"].value == "(1 character)"


def test_steps_of_a_workspace_are_not_shown_where_there_is_no_canary():
    text, around = SHOP + environment("later", 81), workspace("release: {steps: [50%, 100%]}")
    rows = explained(text, around)
    assert rows["release.strategy"].value == "all-at-once"
    assert "release.steps" not in rows
    rows = explained(text, around, key=Key("acme", "hello", "later"))
    assert told(rows["release.steps"])[0] == ("[50%, 100%]", "workspace acme", "f1.yaml:5:20")
    assert rows["after"].value == "prod"


def test_every_component_has_its_own_rows():
    text = edited(
        ("environments:\n", f"{COMPONENTS}    process: {{command: mailer}}\nenvironments:\n"),
        ("    port: 8080\n", "    ports: {mail: 81, web: 80}\n    versions: {web: v3}\n"),
        text=SHOP,
    )  # fmt: skip
    rows = explained(text)
    values = {path: row.value for path, row in rows.items()}
    assert values["components.web.version"] == "v3"
    assert values["components.mail.version"] == "v2"
    assert values["components.mail.port"] == "81"
    assert values["components.mail.instances"] == "2"
    assert values["components.web.instances"] == "1"
    assert told(rows["components.mail.process.command"]) == [
        ("mailer", "component", "f0.yaml:14:24"),
        ("python3 app.py", "project", "f0.yaml:8:12"),
    ]
    assert not {"port", "version", "instances"} & values.keys()


@pytest.mark.parametrize(
    ("texts", "key", "why"),
    [
        ((SHOP,), Key("default", "hello", "prod"), "there is no default/hello/prod in these files"),
        ((SHOP,), Key("acme", "hello", "qa"), "has no environment `qa`: f0.yaml:10:3"),
        ((SHOP, SHOP), HELLO, "two documents claim acme/hello/prod: f0.yaml:3:7 and f1.yaml:3:7"),
        ((SHOP.replace("8080", "'80'"),), HELLO, "cannot be told: f0.yaml:11:11: `port`: expected a whole number"),
        (
            (SHOP, workspace("rooter: x")),
            HELLO,
            "the workspace `acme` has a problem: f1.yaml:5:3: `rooter` is not known",
        ),
        ((SHOP + "    a: [\n",), HELLO, "there is no acme/hello/prod"),
    ],
)
def test_what_cannot_be_explained_is_said(texts, key, why):
    with pytest.raises(UnknownKeyError, match=r".") as caught:
        explained(*texts, key=key)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1.5, "1.5"),
        ("a b", "a b"),
        ("a: b", '"a: b"'),
        ("", '""'),
        ([1, "x", {"weight": "5%"}], "[1, x, {weight: 5%}]"),
        ("a\u202eb\n", '"a\u202eb\\n"'),
    ],
)
def test_values_are_written_in_one_line(value, text):
    assert written(value) == text
