"""What the documentation names is there: files, headings, verbs, options, make targets, and manifests that are valid."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess

import pytest
from manifest_samples import compiled
from pages import PAGES, README, ROOT, alternatives, blocks, prose
from ruamel.yaml import YAML

from reconciler.cli import build_parser
from reconciler.cli.completion import children

TARGETS = ("help", "setup", "demo", "test", "bench", "fuzz", "check", "generate", "lock", "clean")
COMMAND = re.compile(r"(?:\.venv/bin/)?prodsprint (?!\$)")
STAND_INS = {"ID": "1", "KEY": "hello/prod"}
YAML_BLOCKS = [block for page in PAGES for block in blocks(page, "yaml")]


def ids(found):
    return [one.place for one in found]


def headings(page):
    """The anchors that a forge makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), link
        assert to.is_relative_to(ROOT), link
        assert not anchor or anchor in headings(to), link


def test_every_page_is_named_in_the_readme():
    assert [page.name for page in PAGES if page.parent.name == "docs" and f"docs/{page.name}" not in README] == []


def commands(page):
    """Every command of this program in a page's code blocks and code spans, with explanations and pipes cut off."""
    lines = [line.strip() for block in blocks(page, "sh", "text", "console", "") for line in block.text.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", prose(page))
    for line in lines:
        if COMMAND.match(line):
            for command in alternatives(line):
                yield re.split(r"  +| [|>] ", command)[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_one_that_the_program_takes(page):
    for command in commands(page):
        words = [STAND_INS.get(word, word) for word in shlex.split(COMMAND.sub("", command, count=1))]
        if "..." in words or "…" in words or words == ["VERB", "--help"]:
            continue
        parser, rest = build_parser(), words
        while rest and rest[0] in children(parser):
            parser, rest = children(parser)[rest[0]], rest[1:]
        if all(word.startswith("--") for word in rest) and rest != words:  # only named, without what it needs
            assert set(rest) <= {option for action in parser._actions for option in action.option_strings}, command
            continue
        try:
            build_parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{page.name}: {command!r} is refused")


def test_the_pages_have_commands_to_check():
    assert len(list(commands(ROOT / "README.md"))) >= 8
    assert len(list(commands(ROOT / "docs" / "cli.md"))) >= 15


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=ids(YAML_BLOCKS))
def test_every_manifest_that_is_shown_is_valid(block):
    documents = list(YAML(typ="safe", pure=True).load_all(block.text))
    if isinstance(documents[0], dict) and "apiVersion" in documents[0]:
        found = compiled(block.text)
        assert [str(problem) for problem in found.problems] == []
        assert found.desired


def test_the_manifest_of_the_readme_is_short():
    (manifest,) = blocks(ROOT / "README.md", "yaml")
    assert len(manifest.text.splitlines()) <= 12


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_program_that_is_shown_is_one(page):
    for block in blocks(page, "python"):
        ast.parse(block.text, block.place)
    for block in blocks(page, "sh"):
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block.place


def test_the_pages_name_no_path_of_the_machine_that_they_were_written_on():
    for page in PAGES:
        assert not re.search(r"(?<![\w/])/(work|tmp|root)/", page.read_text(encoding="utf-8")), page.name


# --- make ------------------------------------------------------------------------------------------------------------


def make(*words: str) -> str:
    """What make says, without doing anything that changes something."""
    # What the make that runs these tests was told is not for this one.
    bare = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "ARGS", "KEEP"}}
    command = ["make", "--no-print-directory", *words]
    return subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, check=True).stdout


def test_make_help_names_every_target_with_what_it_does():
    lines = make("help").splitlines()
    assert tuple(line.split()[1] for line in lines) == TARGETS
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_made(target):
    make("-n", target)


def test_make_demo_tells_the_story_and_keeps_it_when_asked():
    assert make("-n", "demo").splitlines()[-1].split() == [".venv/bin/prodsprint", "demo"]
    assert ".venv/bin/prodsprint demo --keep" in make("-n", "demo", "KEEP=1")
    assert "--rate 100" in make("-n", "demo", "ARGS=--rate 100")


def test_targets_that_the_pages_name_are_there():
    for page in PAGES:
        named = re.findall(r"\bmake ([a-z]+)", "\n".join(re.findall(r"`([^`\n]+)`", prose(page))))
        named += [
            line.split()[1]
            for block in blocks(page, "sh")
            for line in block.text.splitlines()
            if line.startswith("make ")
        ]
        assert set(named) <= set(TARGETS), page.name
