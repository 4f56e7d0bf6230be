from __future__ import annotations

import pytest
from manifest_samples import MINIMAL, REVISION, compiled, edited, environment, project

from reconciler.core.desired import FULL_WEIGHT, AnalysisPolicy, Key, Step, StrategyKind
from reconciler.core.digest import release_digest
from reconciler.manifest import draft
from reconciler.manifest.compile import compile_snapshot

PROD = Key("default", "hello", "prod")
BROKEN = edited(("command", "comand"))
PORT = "    port: 8080\n"


def key(name: str, env: str = "prod") -> Key:
    return Key("default", name, env)


def wanted(text: str = MINIMAL, env: str = "prod"):
    snapshot = compiled(text)
    assert not snapshot.problems
    return snapshot.desired[key("hello", env)]


def test_minimal_manifest_gets_every_default():
    desired = wanted()
    assert desired.artifact == type(desired.artifact)("https://example.com/hello.git", REVISION, "v1")
    assert (desired.target, desired.router, desired.instances, desired.port) == ("process", "envoy", 1, 8080)
    assert (desired.spec, desired.runtime) == ('{"command":["python3","app.py"]}', "{}")
    assert desired.analysis == AnalysisPolicy()
    assert desired.strategy.kind is StrategyKind.CANARY
    assert desired.strategy.steps == tuple(Step(weight, 300.0) for weight in (100, 500, 2500, FULL_WEIGHT))
    assert (desired.after, desired.commit, desired.path) == ((), "c1", "prodsprint.yaml")


def test_release_and_analysis_reach_the_core():
    more = """\
    instances: 3
    release:
      steps: [0.25%, {weight: 10%, bake: 90s, requests: 500}, 100%]
      bake: 10s
      maxBake: 1h
      holdDeadline: 2d
      progressDeadline: 90
      drain: 0s
    analysis: {interval: 0.2, warmup: 1m, errorBudget: 0.5%, tolerance: 2, passRatio: 3.5, falsePass: 1%}
"""
    desired = wanted(MINIMAL + more)
    assert desired.strategy.steps == (Step(25, 10.0), Step(1000, 90.0, 500), Step(10_000, 10.0))
    limits = desired.strategy
    assert (limits.max_bake, limits.hold_deadline, limits.progress_deadline, limits.drain) == (3600, 172_800, 90, 0)
    policy = AnalysisPolicy(interval=0.2, warmup=60, error_budget=0.005, tolerance=2, pass_ratio=3.5, false_pass=0.01)
    assert desired.analysis == policy


def test_environments_are_promoted_in_order_and_only_the_last_by_canary():
    more = environment("qa", 8081) + environment("live", 8082) + environment("island", 8083) + "    after: none\n"
    snapshot = compiled(MINIMAL + more)
    assert [desired.after for desired in snapshot.desired.values()] == [(), ("prod",), ("qa",), ()]
    kinds = [desired.strategy.kind.value for desired in snapshot.desired.values()]
    assert kinds == ["all-at-once", "all-at-once", "all-at-once", "canary"]
    assert snapshot.desired[PROD].strategy.steps == (Step(FULL_WEIGHT, 300.0),)


def test_steps_make_an_earlier_environment_a_canary():
    text = edited((PORT, f"{PORT}    release: {{steps: [50%, 100%]}}\n")) + environment("last", 8081)
    assert wanted(text).strategy.kind is StrategyKind.CANARY


def test_environment_block_replaces_fields_and_merges_env():
    text = edited(("app.py", "app.py\n  env: {A: '1', B: '2'}\n  startDeadline: 5s"))
    text += "    process: {env: {B: '3', C: '4'}, health: /up}\n" + environment("other", 8081)
    assert wanted(text).spec == '{"command":["python3","app.py"],"env":{"A":"1","B":"3","C":"4"},"health":"/up"}'
    assert wanted(text).runtime == '{"start_deadline":5.0}'
    assert wanted(text, "other").spec == '{"command":["python3","app.py"],"env":{"A":"1","B":"2"}}'


def test_environment_may_have_the_whole_block_and_its_own_version():
    text = (
        edited(("process:\n  command: python3 app.py\n", "")) + "    version: main\n    process: {command: [a, b c]}\n"
    )
    assert wanted(text).spec == '{"command":["a","b c"]}'
    assert wanted(text).artifact.version == "main"
    assert set(compiled(text).wanted) == {("https://example.com/hello.git", "main")}


# --- digests ---


GOLDEN = "e3c1e16e5fdb69d438db5de95919cbadc33d3ba17b7cd18aa4c785a0154a3da1"


def test_release_digest_of_the_minimal_manifest_never_changes():
    assert release_digest(wanted()) == GOLDEN


REORDERED = """\
# comment
environments: [{port: 8080, "name": 'prod'}]
process: {command: [python3, app.py]}
version: "v1"
source: https://example.com/hello.git   # where
name: hello
kind: Project
apiVersion: prodsprint/v1
"""


@pytest.mark.parametrize(
    "text",
    [
        REORDERED,
        MINIMAL + "    instances: 7\n",
        edited(("8080", "9090")),
        MINIMAL + "    release: {bake: 1s, strategy: all-at-once, holdDeadline: 1h}\n    analysis: {interval: 1s}\n",
        edited(("app.py", "app.py\n  healthInterval: 3s\n  stopDeadline: 1m\n  startDeadline: 1m")),
        edited(("app.py", "app.py\n  env: {}\n  health: /\n  build: ''")),
        MINIMAL + environment("later", 8081),
    ],
)
def test_release_digest_ignores_what_does_not_change_behaviour(text):
    assert release_digest(wanted(text)) == GOLDEN


@pytest.mark.parametrize(
    "change",
    [
        ("app.py", "app.py --verbose"),
        ("app.py", "app.py\n  env: {A: '1'}"),
        ("app.py", "app.py\n  health: /up"),
        ("app.py", "app.py\n  build: make"),
        ("name: prod", "name: prod2"),
    ],
)
def test_release_digest_changes_with_behaviour(change):
    (desired,) = compiled(edited(change)).desired.values()
    assert release_digest(desired) != GOLDEN


def test_release_digest_follows_the_commit_not_its_name():
    assert release_digest(wanted(edited(("version: v1", "version: v1.0")))) == GOLDEN
    (other,) = compiled(MINIMAL, resolve=lambda source, version: "b" * 40).desired.values()
    assert release_digest(other) != GOLDEN


# --- what stays when something is wrong ---


def test_broken_manifest_keeps_what_it_held_and_says_why():
    before = compiled(MINIMAL)
    after = compiled(BROKEN, before, commit="c2")
    assert after.desired == before.desired
    assert after.key_problems == {PROD: str(after.problems[0])}
    assert compiled(MINIMAL, after, commit="c3").key_problems == {}


def test_new_broken_manifest_has_a_reason_and_no_desired_state():
    after = compiled(BROKEN)
    assert not after.desired
    assert set(after.key_problems) == {PROD}


@pytest.mark.parametrize("content", ["", "\t", "a: [", "- x\n", "kind: Project\n", edited(("hello\n", "5\n"))])
def test_unreadable_manifest_keeps_what_it_held(content):
    before = compiled(MINIMAL)
    after = compiled(content, before)
    assert after.desired == before.desired
    assert after.key_problems[PROD] == str(after.problems[0])


def test_refused_file_keeps_what_it_held():
    before = compiled({"a/prodsprint.yaml": MINIMAL})
    after = compiled({}, before, refused={"a/prodsprint.yaml": "is a symbolic link"})
    assert after.desired == before.desired
    assert after.key_problems == {PROD: "a/prodsprint.yaml: is a symbolic link. Commit the file itself in its place"}


def test_one_bad_manifest_among_many_stops_only_itself():
    good = {f"{n}.prodsprint.yaml": project(f"p{n}", 9000 + n) for n in range(200)}
    after = compiled({**good, "77.prodsprint.yaml": "a: &x [*x]\n", "78.prodsprint.yaml": BROKEN})
    assert len(after.desired) == 198
    assert {problem.place.file for problem in after.problems} == {"77.prodsprint.yaml", "78.prodsprint.yaml"}


def test_bad_document_does_not_stop_its_neighbours():
    before = compiled(f"{project('a', 1)}---\n{project('b', 2)}")
    after = compiled(f"{project('a', 3)}---\n{project('b', 2).replace('command', 'comand')}", before)
    assert after.desired[key("a")].port == 3
    assert after.desired[key("b")] == before.desired[key("b")]
    assert set(after.key_problems) == {key("b")}


def test_environment_that_leaves_a_broken_document_is_kept_until_it_is_mended():
    before = compiled(MINIMAL + environment("eu", 8081))
    broken = compiled(BROKEN, before)
    assert set(broken.desired) == {PROD, key("hello", "eu")}
    assert set(compiled(MINIMAL, broken).desired) == {PROD}


def test_manifest_or_environment_that_is_gone_is_not_desired():
    before = compiled({"a.prodsprint.yaml": project("a", 1), "b.prodsprint.yaml": project("b", 2, environment("x", 3))})
    after = compiled({"b.prodsprint.yaml": project("b", 2)}, before)
    assert set(after.desired) == {key("b")}
    assert not after.key_problems


# --- revisions ---


def test_unknown_revision_keeps_the_desired_state_and_says_what_to_do():
    before = compiled(MINIMAL)
    after = compiled(edited(("version: v1", "version: v9")), before, resolve=lambda source, version: None)
    assert after.desired == before.desired
    assert after.key_problems == {
        PROD: "revision 'v9' not found in https://example.com/hello.git: push it or correct `version` "
        "(prodsprint.yaml:5:10)"
    }
    assert set(after.wanted) == {("https://example.com/hello.git", "v9"), ("https://example.com/hello.git", "v1")}


def test_revision_is_asked_for_once_and_again_by_the_next_compilation():
    asked = []

    def resolve(source, version):
        asked.append((source, version))
        return "b" * 40 if len(asked) > 1 else REVISION

    before = compiled(MINIMAL + environment("eu", 8081), resolve=resolve)
    after = compiled(MINIMAL + environment("eu", 8081), before, resolve=resolve)
    assert asked == [("https://example.com/hello.git", "v1")] * 2
    assert {desired.artifact.revision for desired in after.desired.values()} == {"b" * 40}


# --- work is proportional to change ---


def test_unchanged_blob_is_not_read_again(monkeypatch):
    read = []
    load = draft.load
    monkeypatch.setattr(draft, "load", lambda path, content: read.append(path) or load(path, content))
    files = {f"{n}.prodsprint.yaml": project(f"p{n}", 9000 + n) for n in range(5)}
    before = compiled(files)
    read.clear()
    after = compiled({**files, "3.prodsprint.yaml": project("p3", 9999)}, before, commit="c2")
    assert read == ["3.prodsprint.yaml"]
    assert after.desired[key("p3")].port == 9999


def test_content_of_an_unchanged_blob_is_not_needed():
    before = compiled(MINIMAL, refused={"b/prodsprint.yaml": "is a symbolic link"})
    (blob,) = before.blobs()
    after = compile_snapshot("c2", {"prodsprint.yaml": (blob, b"")}, lambda source, version: REVISION, before)
    assert after.desired == before.desired


def test_desired_state_keeps_the_commit_in_which_it_began():
    before = compiled(MINIMAL)
    same = compiled(f"# comment\n{MINIMAL}", before, commit="c2")
    assert same.commit == "c2"
    assert same.desired[PROD] is before.desired[PROD]
    assert compiled(MINIMAL + "    instances: 2\n", same, commit="c3").desired[PROD].commit == "c3"


def test_same_files_give_the_same_snapshot_in_any_order():
    files = {"a.prodsprint.yaml": project("a", 1), "b.prodsprint.yaml": project("b", 1), "c.prodsprint.yaml": "["}
    one, two = compiled(files), compiled(dict(reversed(files.items())))
    assert (one.desired, one.problems, one.key_problems) == (two.desired, two.problems, two.key_problems)
