"""The file of --config-repos: every mistake is named with file and line, and no secret is repeated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config_repos import ConfigRepo, RemovalBudget, Rewrite, Trust
from reconciler.core.outcome import TerminalError
from reconciler.source.config_file import read_config_repos

SECRET = "hunter2hunter2hunter2"
FIRST = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def read(tmp_path):
    """Writes the file, and what it may name beside it; reads it."""
    for name in ("signers", "keys.asc", "revoked", "hook"):
        (tmp_path / name).write_text("x\n")

    def call(text: str | bytes) -> tuple[ConfigRepo, ...]:
        file = tmp_path / "repos.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_config_repos(file)

    return call


def test_everything_that_can_be_said_is_read(read, tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK", SECRET)
    one, two = read(f"""\
- name: shop
  url: https://git.example.org/shop/config.git
  branch: release/1.x
  trust: signed
  allowedSigners: signers
  openpgpKeys: {tmp_path}/keys.asc
  revokedSigners: ./revoked
  first: "{FIRST}"
  workspaces: [shop, billing]
  onRewrite: follow
  removals: {{count: 3, share: 10%}}
  webhookSecretFile: hook
- name: play
  url: ./play.git
  webhookSecretVariable: HOOK
""")
    assert one == ConfigRepo(
        url="https://git.example.org/shop/config.git",
        branch="release/1.x",
        name="shop",
        trust=Trust.SIGNED,
        allowed_signers=tmp_path / "signers",
        openpgp_keys=tmp_path / "keys.asc",
        revoked_signers=tmp_path / "revoked",
        first=FIRST,
        workspaces=("shop", "billing"),
        on_rewrite=Rewrite.FOLLOW,
        removals=RemovalBudget(3, 0.1),
        webhook_secret_file=tmp_path / "hook",
    )
    assert two == ConfigRepo(
        url=f"{tmp_path}/play.git", name="play", on_rewrite=Rewrite.FOLLOW, webhook_secret_variable="HOOK"
    )


def test_the_file_in_the_documentation_is_read(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "trust.md").read_text(encoding="utf-8")
    (tmp_path / "shop").mkdir()
    for name in ("allowed_signers", "keys.asc", "revoked", "webhook-secret"):
        (tmp_path / "shop" / name).write_text("x\n")
    (tmp_path / "repos.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    shop, play = read_config_repos(tmp_path / "repos.yaml")
    assert (shop.trust, shop.branch, shop.removals, shop.on_rewrite) == ("signed", "main", RemovalBudget(), "hold")
    assert (play.name, play.trust, play.on_rewrite) == ("play", "none", "follow")


@pytest.mark.parametrize(
    ("lines", "policy"),
    [
        ("", Rewrite.FOLLOW),
        ("trust: protected-branch", Rewrite.HOLD),
        ("trust: signed\n  allowedSigners: signers", "hold"),
    ],
)
def test_rewritten_history_is_held_unless_nothing_is_trusted_anyway(read, lines, policy):
    assert read(f"- url: /srv/config.git\n  {lines}\n")[0].on_rewrite == policy


def test_one_repo_needs_no_name(read):
    assert read("- url: /srv/config.git\n") == (ConfigRepo("/srv/config.git"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: expected a list"),
        ("url: /srv/a\n", ":1: expected a list"),
        ("[]\n", ":1: the list names no config repo"),
        ("- /srv/a\n", ":1: this item: expected a mapping"),
        ("- name: a\n  branch: b\n", ":1: `url` is missing"),
        ("# what\n- url: /srv/a\n  branc: x\n", ":3: unknown field `branc`; did you mean `branch`?"),
        ("- url: /srv/a\n  colour: x\n", ":2: unknown field `colour`; the fields are name, url, branch, trust"),
        (
            "- url: /srv/a\n  allowed_signers: x\n",
            ":2: unknown field `allowed_signers`; did you mean `allowedSigners`?",
        ),
        ("- url: /srv/a\n  trust: everybody\n", ":2: trust: expected 'signed', 'protected-branch' or 'none'"),
        ("- url: /srv/a\n  onRewrite: pray\n", ":2: onRewrite: expected 'hold' or 'follow'"),
        ("- url: /srv/a\n  trust: signed\n", ":1: `trust: signed` needs `allowedSigners` or `openpgpKeys`"),
        ("- url: /srv/a\n  allowedSigners: signers\n", ":1: `allowedSigners` has an effect with `trust: signed` alone"),
        ("- url: /srv/a\n  trust: none\n  first: '" + FIRST + "'\n", ":1: `first` has an effect"),
        (
            "- url: /srv/a\n  trust: signed\n  openpgpKeys: keys.asc\n  revokedSigners: revoked\n",
            ":1: `revokedSigners` takes SSH keys out of `allowedSigners`",
        ),
        ("- url: /srv/a\n  trust: signed\n  allowedSigners: nowhere\n", ":3: allowedSigners: there is no such file"),
        (
            "- url: /srv/a\n  trust: signed\n  allowedSigners: signers\n  first: abc\n",
            ":4: first: expected a full commit",
        ),
        ("- url: config.git\n", ":1: url: 'config.git' is no repo address"),
        ("- url: ext::sh -c x\n", ":1: url: "),
        ("- url: /srv/a\n  branch: -x\n", ":2: branch: '-x' is no name of a branch"),
        ("- url: /srv/a\n  branch: 1.10\n", ":2: branch: expected a text (in quotes"),
        ("- url: /srv/a\n  branch:\n", ":2: `branch` has no value"),
        ("- url: /srv/a\n  name: A b\n", ":2: name: 'A b' is no name of at most 40"),
        ("- url: /srv/a\n  workspaces: shop\n", ":2: workspaces: expected a list"),
        ("- url: /srv/a\n  workspaces:\n  - shop\n  - S\n", ":4: workspaces.1: 'S' is no name"),
        ("- url: /srv/a\n  removals:\n    count: -1\n", ":3: removals.count: expected greater than or equal to 0"),
        ("- url: /srv/a\n  removals:\n    count: true\n", ":3: removals.count: expected a"),
        ("- url: /srv/a\n  removals:\n    share: 0.5\n", ":3: removals.share: expected a percentage"),
        ("- url: /srv/a\n  removals:\n    most: 1\n", ":3: unknown field `removals.most`"),
        ("- url: /srv/a\n- url: /srv/b\n", ":1: with several config repos, each has a `name`"),
        ("- url: /srv/a\n  name: a\n- url: /srv/b\n", ":3: with several config repos, each has a `name`"),
        ("- url: /srv/a\n  name: a\n- url: /srv/b\n  name: a\n", ":3: another config repo is named a too, in line 1"),
        (
            "- url: /srv/a\n  name: a\n- url: /srv/x/../a\n  name: b\n",
            ":3: this branch of this repo is followed already",
        ),
        ("- url: /srv/a\n  url: /srv/b\n", ":2: a field is there twice"),
        ("- url: [\n", ":2: this cannot be read as YAML"),
        ("- url: *x\n", ":1: this cannot be read as YAML"),
        ("\t- url: /srv/a\n", ":1: this cannot be read as YAML"),
        (b"\xff\xfe-\x00", "expected YAML in UTF-8"),
        ("- url: &a /srv/a\n" + "[" * 5000, ": this cannot be read as YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_to_do(read, tmp_path, text, said):
    with pytest.raises(TerminalError) as error:
        read(text)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/repos.yaml:")
    assert said in message
    assert message.endswith("; see docs/trust.md")


@pytest.mark.parametrize(
    "lines",
    [
        f"webhookSecret: {SECRET}",
        f"token: {SECRET}",
        f"password: {SECRET}",
        f"webhookSecretFile: {SECRET}",
        f"webhookSecretVariable: {SECRET}",
        f"webhookSecretVariable: {SECRET}-{SECRET}",
        f"webhookSecretFile: hook\n  webhookSecretVariable: {SECRET}",
        f"allowedSigners: {SECRET}",
        f"branch: x\n  branch: {SECRET}",
        f"branch: [{SECRET}",
        f"branch: *{SECRET}",
        f"webhookSecretFile: [{SECRET}]",
    ],
)
def test_a_secret_written_into_the_file_is_refused_and_not_repeated(read, lines):
    with pytest.raises(TerminalError) as error:
        read(f"- url: /srv/a\n  {lines}\n")
    assert SECRET not in str(error.value)
    assert SECRET not in repr(error.value.__cause__)


@pytest.mark.parametrize(
    "url", [f"https://ann:{SECRET}@git.example.org/a", f"https://git.example.org/a?private_token={SECRET}"]
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(read, url):
    with pytest.raises(TerminalError, match=":1: url: ") as error:
        read(f"- url: {url}\n")
    assert SECRET not in str(error.value)


def test_a_field_that_looks_like_a_secret_is_told_where_it_belongs(read):
    with pytest.raises(TerminalError, match="No secret stands in this file: write it to a file of mode 0600"):
        read(f"- url: /srv/a\n  password: {SECRET}\n")


def test_a_file_that_is_not_there_or_too_large(read, tmp_path):
    with pytest.raises(TerminalError, match=r"none.yaml: No such file"):
        read_config_repos(tmp_path / "none.yaml")
    with pytest.raises(TerminalError, match="more than 1048576 bytes"):
        read("#" * (1 << 21))


FIELDS = st.sampled_from(["url", "name", "trust", "removals", "share", "first", "workspaces", "x"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
)


@given(ANYTHING)
@settings(max_examples=150, deadline=None)
def test_any_yaml_is_read_or_refused_in_words(tmp_path_factory, value):
    file = Path(tmp_path_factory.getbasetemp()) / "any.yaml"
    file.write_text(json.dumps(value))
    assert re.match(f"{file}:[0-9]+: .|$", complaint(file))


def complaint(file):
    try:
        read_config_repos(file)
    except TerminalError as error:
        return str(error)
    return ""
