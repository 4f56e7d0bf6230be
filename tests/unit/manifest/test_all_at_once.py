"""Everything that is wrong with a file is said at once, and what to do about it is to the point."""

from __future__ import annotations

import pytest
from manifest_samples import MINIMAL, edited, lines

from reconciler.manifest.draft import refused_file

HEAD = "apiVersion: prodsprint/v1\nkind: Project\nname: hello\n"
WAIVER = (
    "apiVersion: prodsprint/v1\nkind: Waiver\nname: one\nscope: {environment: prod}\ngates: [tests]\n"
    "reason: It is known.\nticket: SEC-1\nexpires: 2026-12-24\n"
)
FORM = "Write it as `2026-12-24T10:00:00+01:00`, or as `2026-12-24` for the end of that day in UTC"


def missing(text: str) -> list[str]:
    return [line.split("`")[1] for line in lines(text) if " is missing" in line]


def test_project_with_nothing_in_it_says_all_that_is_missing():
    assert sorted(missing(HEAD)) == ["command", "environments", "source", "version"]
    assert sorted(missing(f"{HEAD}environments: [{{name: a}}, {{}}]\n")) == [
        "command", "command", "name", "port", "port", "source", "version",
    ]  # fmt: skip


def test_components_say_all_that_is_missing():
    text = f"{HEAD}components: [{{name: web}}, {{name: api}}]\nenvironments:\n  - name: prod\n  - {{name: qa, ports: {{}}}}\n"
    found = lines(text)
    assert sorted(set(missing(text))) == ["command", "ports", "source", "version"]
    assert "1:1: `source` is missing. Add `source:` to the project or to every component" in found
    assert any(line.endswith("Add `ports:` with a port for each of `web`, `api`") for line in found)


def test_misspelt_field_is_not_missing_too():
    assert lines(edited(("version: v1", "versoin: v1"), ("    port", "    prot"))) == [
        "5:1: `versoin` is not known. Did you mean `version`?",
        "10:5: `prot` is not known in `environments`. Did you mean `port`?",
    ]


def test_value_that_is_missing_hides_nothing_else():
    text = WAIVER.replace("It is known.", "").replace("SEC-1", "a b").replace("2026-12-24", "2026-12-24T10:00")
    assert [line.split(" ")[0] + line.split("`")[1] for line in lines(text)] == [
        "6:1:reason",
        "7:9:ticket",
        "8:10:expires",
    ]
    assert lines(edited(("version: v1", "version:"), ("8080", "99999"))) == [
        '5:1: `version` has no value. Give it one (`""` is the empty text), or remove it',
        "10:11: `port`: expected at most 65535, found the number `99999`. Choose a number from 1 to 65535",
    ]


def test_values_that_are_missing_anywhere_are_the_only_problems_of_what_is_fine_otherwise():
    text = (
        f"{HEAD}source: https://example.com/a.git\nversion: v1\nprocess:\n  command: x\ncomponents:\n  - name: web\n"
        "  - name: api\nenvironments:\n  - name: prod\n    instances: 2\n    after: none\n    ports:\n"
        "      web: 1\n      api: 2\n"
    )
    assert lines(text) == []
    rows = text.splitlines()
    for index, row in enumerate(rows):
        name, _, value = row.partition(": ")
        if value:
            found = lines("\n".join([*rows[:index], f"{name}:", *rows[index + 1 :]]) + "\n")
            assert [line.split("`")[2] for line in found] == [" has no value. Give it one ("], row
    without = text.replace("\n      web: 1\n      api: 2", "")
    assert [line.split("`")[1] for line in lines(without)] == ["ports"]


def test_field_without_a_value_is_not_missing_too():
    freeze = "apiVersion: prodsprint/v1\nkind: Freeze\nname: a\nreason: why\nfrom:\nuntil: 2026-12-24T10:00:00Z\n"
    assert [line.split(" ")[0] for line in lines(freeze)] == ["5:1:"]


def test_other_faults_of_a_file_hide_the_rest_as_long_as_it_cannot_be_read():
    assert len(lines(edited(("version: v1", "version: &a v1"), ("8080", "99999")))) == 1


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (WAIVER.replace("2026-12-24", "24.12.2026"), FORM),
        (WAIVER.replace("2026-12-24", "2026-12-24T10:00:00"), FORM),
        (WAIVER.replace("[tests]", "[]"), "Write 1 to 100 of them"),
        (edited(("app.py", "app.py\n  health: healthz")), "Begin with /, as in `/healthz`"),
        (edited(("    port: 8080", "    port: 8080\n    replicas: 2")), "Did you mean `instances`?"),
        (edited(("version: v1", "image: v1")), "Did you mean `version`?"),
        (edited(("    port: 8080", "    port: 8080\n    onDelete: nothing")), "Choose one of them"),
        (edited(("kind: Project", "kind: Deployment")), "Choose one of them"),
        (edited(("    port: 8080", "    port: 8080\n    release: {steps: [5, 100%]}")), "Write `5%`"),
        (edited(("    port: 8080", "    port: 8080\n    release: {steps: [{percent: 5%}, 100%]}")), "Did you mean `weight`?"),
        (edited(("    port: 8080", "    port: 8080\n    instances: 0")), "Choose a number from 1 to 1000"),
        (MINIMAL.replace("environments", "components: [{name: web}]\nenvironments"), "Write 2 to 20 of them"),
    ],
)  # fmt: skip
def test_hint_says_what_to_write(text, hint):
    assert any(line.endswith(f". {hint}") for line in lines(text)), lines(text)
    assert "Known here" not in "".join(lines(text))


@pytest.mark.parametrize(
    ("path", "reason", "hint"),
    [
        ("a/prodsprint.yml", "is not read; a manifest's name ends in", "Rename it to prodsprint.yaml"),
        ("a/shop.ProdSprint.YAML", "is not read; a manifest's name ends in", "Rename it to shop.prodsprint.yaml"),
        ("a", "is a symbolic link; a manifest is a regular file", "Commit the file itself in its place"),
        ("a", "has the file mode 100600; a manifest is a regular file", "Give it the mode 644, and commit it again"),
        ("a", "has 2000000 bytes; a manifest has at most 1048576", "Split it into several *.prodsprint.yaml files"),
        ("a", "is a socket; a manifest is a regular file", "Commit a regular file"),
    ],
)
def test_refused_file_says_what_to_do_about_it(path, reason, hint):
    (problem,) = refused_file(path, "", reason).problems
    assert problem.hint == hint


def test_end_of_a_waiver_is_not_promised_to_be_checked():
    assert not lines(MINIMAL + "---\n" + WAIVER.replace("2026-12-24", "2025-01-01"))
