from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.core.outcome import TerminalError
from reconciler.source.address import Credential, Credentials, parse
from reconciler.source.credentials import read_credentials


@pytest.mark.parametrize(
    ("url", "scheme", "git"),
    [
        ("/srv/shop.git", "file", "/srv/shop.git"),
        ("file:///srv/my%20shop.git/", "file", "/srv/my shop.git"),
        ("https://git.example.org/a/shop.git", "https", "https://git.example.org/a/shop.git"),
        ("https://ann@git.example.org/shop/", "https", "https://ann@git.example.org/shop"),
        ("http://127.0.0.1:8080/shop", "http", "http://127.0.0.1:8080/shop"),
        ("ssh://git@git.example.org:2222/shop.git", "ssh", "ssh://git@git.example.org:2222/shop.git"),
        ("git@git.example.org:a/shop.git", "ssh", "git@git.example.org:a/shop.git"),
    ],
)
def test_usual_addresses_are_accepted(url: str, scheme: str, git: str) -> None:
    assert (parse(url).scheme, parse(url).url) == (scheme, git)


def test_two_spellings_of_a_folder_share_a_mirror() -> None:
    assert (
        parse("/srv/a/../shop.git").slug
        == parse("file:///srv/shop.git/").slug
        == parse("file://localhost/srv/shop.git").slug
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop",
        "./shop",
        "../shop",
        "--upload-pack=x",
        "-oProxyCommand=x@h:p",
        "ext::sh -c x",
        "git://h/x",
        "ftp://h/x",
        "file://h/x",
        "https://h",
        "https:///x",
        "https://h/x?y",
        "https://h/x#y",
        "https://h/a b",
        "ssh://-oProxyCommand=x/y",
        "git@-oX:y",
        "/a\nb",
        "/a\x00b",
        "https://[::1/x",
        "https://h/" + "x" * 3000,
    ],
)
def test_odd_addresses_are_refused(url: str) -> None:
    with pytest.raises(TerminalError):
        parse(url)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(TerminalError, match="token_file") as caught:
        parse("https://ann:hunter2@git.example.org/shop")
    assert "hunter2" not in str(caught.value)


def test_the_longest_prefix_wins_and_ends_at_a_part_of_the_address() -> None:
    wide, narrow, scp = Credential("https://h/acme"), Credential("https://h/acme/shop"), Credential("git@h:")
    rules = Credentials((wide, narrow, scp))
    assert rules.find(parse("https://h/acme/shop")) is narrow
    assert rules.find(parse("https://h/acme/shop2")) is wide
    assert rules.find(parse("git@h:a/b")) is scp
    assert rules.find(parse("https://h/acme-evil/x")) is None
    assert rules.find(parse("https://h.evil/acme/x")) is None


def test_a_prefix_with_special_characters_covers_just_what_it_says() -> None:
    rule = Credential("https://h/(a+)+$")
    rules = Credentials((rule, Credential("https://h.h/.*")))
    assert rules.find(parse("https://h/(a+)+$/shop")) is rule
    assert rules.find(parse("https://h/aaaa")) is None
    assert rules.find(parse("https://hxh/anything")) is None


def test_token_is_read_fresh_and_never_sent_in_clear_over_a_network(tmp_path: Path) -> None:
    file = tmp_path / "token"
    rules = Credentials(
        tuple(Credential(prefix, token_file=file) for prefix in ("https://h", "http://h", "http://localhost"))
    )
    with pytest.raises(TerminalError, match="No such file"):
        rules.token(parse("https://h/x"))
    for text in ("first\n", "second\n"):
        file.write_text(text)
        token = rules.token(parse("https://h/x"))
        assert token
        assert token.reveal() == text.strip()
        assert text.strip() not in f"{token} {token!r}"
    assert rules.token(parse("http://localhost/x"))
    with pytest.raises(TerminalError, match="in clear"):
        rules.token(parse("http://h/x"))
    for bad in (b"", b"\xff\xfe"):
        file.write_bytes(bad)
        with pytest.raises(TerminalError, match="secret file"):
            rules.token(parse("https://h/x"))


def test_the_credentials_in_the_documentation_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "sources.md").read_text(encoding="utf-8")
    file = tmp_path / "credentials.yaml"
    file.write_text(page.split("```yaml\n")[1].split("```")[0])
    rules = read_credentials(file)
    found = [
        rules.find(parse(url))
        for url in ("https://github.com/acme/x", "https://gitlab.example.org/x", "git@git.example.org:x")
    ]
    assert [
        rule and (rule.username, bool(rule.token_file), rule.token_variable, bool(rule.known_hosts)) for rule in found
    ] == [
        ("x-access-token", True, "", False),
        ("oauth2", False, "GITLAB_TOKEN", False),
        ("x-access-token", False, "", True),
    ]
