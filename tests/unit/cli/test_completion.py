"""Tab completion, in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli import build_parser
from reconciler.cli.completion import children

PROGRAM = Path(sys.executable).with_name("prodsprint")
ASKED = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_prodsprint
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", "completion", shell], capture_output=True, text=True, check=True
        )
        (folder / shell).write_text(done.stdout)
    return folder


def bash(scripts, *words, cwd=None):
    """What bash would offer for the last of the words."""
    command = ["bash", "--norc", "-u", "-c", ASKED, "-", str(scripts / "bash"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd)
    assert done.stderr == ""
    return [line for line in done.stdout.split("\n") if line]


def test_bash_offers_every_verb_of_every_level(scripts):
    parser = build_parser()
    assert bash(scripts, "prodsprint", "") == list(children(parser))
    for name, one in children(parser).items():
        if children(one):
            assert bash(scripts, "prodsprint", name, "") == list(children(one))


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("st",), ["status"]),
        (("release", "p"), ["pause", "promote"]),
        (("release", "pause", "--un"), ["--until"]),
        (("release", "pause", "shop/prod", "--reason", "lunch", "--un"), ["--until"]),
        (("status", "--w"), ["--workspace", "--watch"]),
        (("status", "-o", ""), ["table", "wide", "json", "yaml", "name"]),
        (("why", "shop/prod", "--output", "j"), ["json"]),
        (("run", "--log-level", "w"), ["warning"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("nonsense", "x"), []),
        (("plan", "--nonsense"), []),
    ],
)
def test_bash_offers_what_fits(scripts, words, offered, tmp_path):
    assert bash(scripts, "prodsprint", *words, cwd=tmp_path) == offered


def test_bash_offers_every_option_of_every_verb(scripts):
    for name, one in children(build_parser()).items():
        for path, verb in [((name, inner), last) for inner, last in children(one).items()] or [((name,), one)]:
            options = [text for action in verb._actions for text in action.option_strings]
            assert bash(scripts, "prodsprint", *path, "-") == options


def test_bash_offers_files_where_files_are_meant(scripts, tmp_path):
    (tmp_path / "services").mkdir()
    (tmp_path / "some.yaml").touch()
    assert sorted(bash(scripts, "prodsprint", "validate", "s", cwd=tmp_path)) == ["services", "some.yaml"]
    assert bash(scripts, "prodsprint", "status", "--data-dir", "se", cwd=tmp_path) == ["services"]


def test_bash_offers_the_keys_of_the_daemon(scripts, hall, world, monkeypatch):
    monkeypatch.setenv("PRODSPRINT_DATA_DIR", str(hall[1]))
    assert bash(scripts, str(PROGRAM), "why", "acme/") == ["acme/shop/prod", "acme/shop/staging"]
    assert bash(scripts, str(PROGRAM), "release", "sync", "zoo") == ["zoo/app/prod"]
    monkeypatch.setenv("PRODSPRINT_DATA_DIR", "/nowhere")
    assert bash(scripts, str(PROGRAM), "why", "acme/") == []


def test_zsh_finds_its_script_by_the_first_line_and_offers_the_same_words(scripts):
    zsh, bash_script = ((scripts / shell).read_text() for shell in ("zsh", "bash"))
    assert zsh.startswith("#compdef prodsprint\n")
    table = bash_script.partition("_prodsprint_next() {")[2].partition("\n}\n")[0]
    assert table
    assert table in zsh


def test_fish_is_told_every_verb_option_and_choice(scripts):
    lines = (scripts / "fish").read_text().splitlines()
    assert all(line.startswith("complete -c prodsprint ") for line in lines)
    for name, one in children(build_parser()).items():
        assert any(f"'__fish_use_subcommand' -a {name} " in line for line in lines)
        for action in () if children(one) else one._actions:
            for option in action.option_strings:
                flag = f"-l {option[2:]} " if option.startswith("--") else f"-s {option[1:]} "
                found = [line for line in lines if f"'__fish_seen_subcommand_from {name}' {flag}" in line]
                assert len(found) == 1, option
                assert not action.choices or f"-a '{' '.join(action.choices)}'" in found[0]


def zsh_takes(script, home):
    words = f"autoload -U compinit && compinit -D -u && source {script} && print -- ${{_comps[prodsprint]}}"
    done = subprocess.run(["zsh", "-f", "-c", words], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("_prodsprint\n", "")


def fish_takes(script, home):
    def offered(line: str) -> set[str]:
        words = ["fish", "--no-config", "-c", f"source {script}; complete -C {line!r}"]
        env = {"HOME": str(home), "PATH": os.environ["PATH"]}
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=env)
        return {one.split("\t")[0] for one in done.stdout.splitlines()}

    parser = build_parser()
    assert offered("prodsprint ") >= set(children(parser))
    assert offered("prodsprint release ") == set(children(children(parser)["release"]))
    assert offered("prodsprint events list -o ") == {"table", "wide", "json", "yaml", "name"}
    assert "--until" in offered("prodsprint release pause --")


def test_every_shell_that_is_installed_takes_its_script(scripts, tmp_path):
    for shell, takes in (("bash", None), ("zsh", zsh_takes), ("fish", fish_takes)):
        if shutil.which(shell):
            done = subprocess.run([shell, "-n", str(scripts / shell)], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            if takes:
                takes(scripts / shell, tmp_path)
