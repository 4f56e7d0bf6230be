from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from manifest_samples import compiled, edited

from reconciler.source.address import parse

SCHEMA = json.loads((Path(__file__).parents[3] / "schema" / "project.schema.json").read_text(encoding="utf-8"))


def problems(field: str, value: str) -> list[str]:
    old = {"source": "source: https://example.com/hello.git", "version": "version: v1\n", "name": "name: hello\n"}[
        field
    ]
    return [str(problem) for problem in compiled(edited((old, f"{field}: {json.dumps(value)}\n"))).problems]


def in_schema(field: str, value: str) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA["properties"][field]).is_valid(value)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/shop",
        "https://github.com/acme/shop.git",
        "http://127.0.0.1:3000/a.git",
        "http://[::1]:3000/a.git",
        "ssh://git@example.com/a.git",
        "ssh://git@example.com:2222/a/b.git",
        "ssh://example.com/a.git",
        "git@github.com:acme/shop.git",
        "deploy@10.0.0.1:/srv/a.git",
        "file:///srv/git/a.git",
        "https://example.com/~me/a%20b.git",
    ],
)
def test_git_urls_are_accepted_here_in_the_schema_and_by_the_mirrors(url):
    assert problems("source", url) == []
    assert in_schema("source", url)
    assert parse(url).url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop",
        "./shop",
        "../shop.git",
        "/srv/shop.git",
        "~/shop",
        "ext::sh -c 'touch /x'",
        "fd::17",
        "--upload-pack=touch /x",
        "-oProxyCommand=x",
        "ssh://-oProxyCommand=x/a.git",
        "ssh://git@-oProxyCommand=x/a",
        "git@-oProxyCommand=x:a",
        "git@example.com:-a",
        "-git@example.com:a",
        "ftp://example.com/a.git",
        "git://example.com/a.git",
        "javascript:alert(1)",
        "file://host/a.git",
        "file:///",
        "https://",
        "https://example.com",
        "https://example.com/",
        "https:///a.git",
        "https://example.com:99999999/a",
        "https://example.com/a b",
        "https://example.com/a\nb",
        "https://example.com/a\\b",
        "https://example.com/a.git\n",
        "https://example.com/" + "a" * 5000,
    ],
)
def test_anything_else_is_refused_here_and_in_the_schema(url):
    assert problems("source", url)
    assert not in_schema("source", url) or url.endswith("\n")  # `$` of a schema's pattern may match before a newline


@pytest.mark.parametrize(
    "url",
    [
        "https://s3cret@github.com/a/b",
        "https://me:s3cret@github.com/a/b",
        "HTTPS://me:s3cret@github.com/a/b",
        "ssh://git:s3cret@github.com/a/b",
        "ftp://me:s3cret@example.com/a",
        "me:s3cret@example.com:a/b",
        "https://github.com/a/b?access_token=s3cret",
        "https://github.com/a/b#s3cret",
        "https://me:s3cret@",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url):
    found = problems("source", url)
    assert found
    assert "s3cret" not in "".join(found)
    assert not in_schema("source", url)


@pytest.mark.parametrize("version", ["v1", "1.2.3", "main", "feature/a-b", "a" * 40, "v1.0+build", "release_1"])
def test_versions_are_accepted(version):
    assert problems("version", version) == []
    assert in_schema("version", version)


REFUSED_VERSIONS = ("", "-v1", "--upload-pack=x", "a..b", "a b", "v1~1", "v1^{}", "a:b", "a@{1}", "a/", "a.lock", "a.")


@pytest.mark.parametrize("version", [*REFUSED_VERSIONS, "/a", "a//b", "ä", "x" * 201])
def test_what_is_no_name_of_a_commit_is_refused(version):
    assert problems("version", version)
    assert not in_schema("version", version)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "../a", "a" * 41, "a b", "ä"])
def test_what_is_no_name_is_refused(name):
    assert problems("name", name)
    assert not in_schema("name", name)
