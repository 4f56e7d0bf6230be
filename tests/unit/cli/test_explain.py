"""``prodsprint explain``, as a person sees it."""

from __future__ import annotations

import argparse
import json

import pytest

from reconciler.cli import explain
from reconciler.core.outcome import TerminalError

FILES = {
    "team.prodsprint.yaml": """\
apiVersion: prodsprint/v1
kind: Workspace
name: acme
defaults:
  release: {bake: 2m}
""",
    "prodsprint.yaml": """\
apiVersion: prodsprint/v1
kind: Project
name: shop
workspace: acme
source: https://example.com/shop.git
version: v1
process: {command: run, env: {TOKEN: hunter2}}
environments:
  - name: prod
    port: 8080
    release: {bake: 3m}
""",
}


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    parser = argparse.ArgumentParser()
    explain.add_arguments(parser)

    def ask(*words: str) -> str:
        assert explain.run(parser.parse_args(words)) == 0
        return capsys.readouterr().out

    return ask


def test_a_key_is_a_table_of_its_fields(said):
    lines = said("acme/shop/prod").splitlines()
    assert lines[0].split() == ["FIELD", "VALUE", "FROM"]
    assert ["release.bake", "3m", "prodsprint.yaml:11"] in [line.split() for line in lines]
    assert ["release.maxBake", "30m", "built-in"] in [line.split() for line in lines]
    assert "hunter2" not in "".join(lines)


def test_a_field_of_a_key_shows_what_it_overrides(said):
    expected = """\
acme/shop/prod release.bake: 3m

VALUE  LAYER           FROM
3m     environment     prodsprint.yaml:11
2m     workspace acme  team.prodsprint.yaml:5
5m     built-in        built-in
"""
    assert said("acme/shop/prod", "release.bake") == expected
    assert said("acme/shop/prod", "environments.release.bake") == expected


def test_a_block_shows_the_fields_in_it(said):
    lines = said("acme/shop/prod", "analysis").splitlines()[1:]
    assert lines
    assert all(line.startswith("analysis.") for line in lines)


def test_a_program_gets_every_layer(said):
    (row,) = json.loads(said("acme/shop/prod", "release.bake", "-o", "json"))
    assert row["value"] == "3m"
    assert row["layers"][1] == {
        "layer": "workspace acme", "value": "2m", "file": "team.prodsprint.yaml", "line": 5, "column": 19,
    }  # fmt: skip


def test_a_field_alone_is_told_from_the_reference(said):
    text = said("environments.release.bake")
    assert "Least time of each step." in text
    assert "5m" in text
    assert json.loads(said("Freeze.cron", "-o", "json"))["field"] == "Freeze.cron"


def test_nothing_asked_lists_environments_and_kinds(said):
    text = said()
    assert "acme/shop/prod\n" in text
    assert "Workspace" in text
    assert json.loads(said("-o", "json"))["keys"] == ["acme/shop/prod"]


def test_a_field_of_components_is_told_by_its_name_in_each(said, tmp_path):
    parts = "components:\n  - {name: web, process: {env: {A: b}}}\n  - {name: worker, process: {env: {C: d}}}\n"
    text = FILES["prodsprint.yaml"].replace(
        "process: {command: run, env: {TOKEN: hunter2}}\n", f"process: {{command: run}}\n{parts}"
    )
    (tmp_path / "prodsprint.yaml").write_text(text.replace("port: 8080", "ports: {web: 8080, worker: 8081}"))
    with pytest.raises(TerminalError, match=r".") as caught:
        said("acme/shop/prod", "process.env")
    assert str(caught.value) == (
        "acme/shop/prod has no field `process.env`. "
        "Did you mean `components.web.process.env` or `components.worker.process.env`?"
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("shop/prod",), "there is no default/shop/prod in these files; did you mean acme/shop/prod?"),
        (("acme/shop/prd",), "; did you mean acme/shop/prod?"),
        (("acme/shop/prod", "xyzzy"), "has no field `xyzzy`. `prodsprint explain acme/shop/prod` lists them"),
        (("a/b/c/d",), "is no key"),
        (("acme/shop/prod", "release.bak"), "Did you mean `release.bake`?"),
        (("environments.release.bak",), "there is no field"),
        (("shop", "release"), "write it as PROJECT/ENVIRONMENT"),
    ],
)
def test_mistakes_end_in_a_sentence(said, words, why):
    with pytest.raises(TerminalError, match=r".") as caught:
        said(*words)
    assert why in str(caught.value)
