from __future__ import annotations

from pathlib import Path

from reconciler.cli import build_parser, reference
from reconciler.cli.client import CONNECTION
from reconciler.cli.completion import children

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def leaves(parser, path="prodsprint"):
    for name, verb in children(parser).items():
        if children(verb):
            yield from leaves(verb, f"{path} {name}")
        else:
            yield f"{path} {name}", verb


def test_the_page_is_what_the_program_says():
    assert PAGE.read_text(encoding="utf-8") == reference.page(build_parser()), "run: make generate"


def test_the_page_has_every_verb_and_every_option():
    sections = dict(part.split("\n", 1) for part in PAGE.read_text(encoding="utf-8").split("\n## "))
    for path, verb in leaves(build_parser()):
        shared = {one for group in verb._action_groups if group.title == CONNECTION for one in group._group_actions}
        for action in verb._actions:
            section = sections["Which daemon"] if action in shared else sections[path]
            assert all(f"`{option}" in section or f", {option}" in section for option in action.option_strings
                       if action.dest != "help"), (path, action.dest)  # fmt: skip
        assert ("(#which-daemon)" in sections[path]) == bool(shared)


def test_every_row_has_two_cells():
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        assert not line.startswith("|") or line.count("|") - line.count("\\|") == 3, line
