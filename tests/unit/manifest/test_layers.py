"""Defaults around a manifest: the nearest layer counts, and what is wrong is said where it is written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_samples import COMPONENTS, HEAD, SHOP, target, workspace
from manifest_samples import MINIMAL, edited, environment

from reconciler.core.desired import FULL_WEIGHT, OnDelete, StrategyKind
from reconciler.core.digest import canonical
from reconciler.manifest.blocks import split
from reconciler.manifest.draft import draft_file
from reconciler.manifest.layers import NO_LAYERS, Layers, Written, merged, owners
from reconciler.manifest.load import Document, load
from reconciler.manifest.problem import Code
from reconciler.manifest.recordcodec import decode, encode
from reconciler.targets._process_spec import RUNTIME, ProcessSpec

TWO = SHOP + environment("later", 8081)


def layers(*texts: str) -> Layers:
    return Layers.of(
        draft for n, text in enumerate(texts) for draft in draft_file(f"d{n}.yaml", "", text.encode()).drafts
    )


def drafted(text: str, *around: str):
    return draft_file("p.yaml", "b", text.encode(), layers(*around))


def states(text: str, *around: str):
    found = drafted(text, *around)
    assert not found.problems
    (draft,) = found.drafts
    assert not draft.problem
    return [wish.desired for wish in draft.wishes]


def problems(text: str, *around: str) -> list[str]:
    return [str(problem) for problem in drafted(text, *around).problems]


# --- which layer counts ---


def test_each_layer_hides_the_ones_behind_it_field_by_field():
    block = "env: {{A: {0}, {0}: {0}}}\n"
    around = (
        workspace("process:\n  " + block.format("ws") + "  health: /ws\n  stopDeadline: 1s"),
        target("vm", block.format("t") + "health: /t"),
    )
    text = edited(
        ("app.py\n", "app.py\n  env: {A: p, p: p}\n"),
        ("    port: 8080\n", "    port: 8080\n    target: vm\n    process: {env: {e: e}}\n"),
        text=SHOP,
    )
    (state,) = states(text, *around)
    assert json.loads(state.spec) == {
        "command": ["python3", "app.py"],
        "env": {"A": "p", "e": "e", "p": "p", "t": "t", "ws": "ws"},
        "health": "/t",
    }
    assert json.loads(state.runtime) == {"stop_deadline": 1.0}
    assert state.target == "process"
    assert drafted(text, *around).drafts[0].uses == ("vm",)


def test_fields_of_the_workspace_reach_every_environment_that_does_not_say_otherwise():
    around = workspace("instances: 4\nonDelete: destroy\nanalysis: {warmup: 30s, tolerance: 3}\nrelease: {drain: 1s}")
    text = TWO + "    instances: 2\n    analysis: {tolerance: 2}\n"
    first, second = states(text, around)
    assert (first.instances, second.instances) == (4, 2)
    assert (first.analysis.tolerance, second.analysis.tolerance) == (3, 2)
    assert {first.analysis.warmup, second.analysis.warmup} == {30}
    assert {first.strategy.drain, second.strategy.drain} == {1}
    assert first.on_delete is OnDelete.DESTROY


def test_the_project_is_a_layer_between_workspace_and_environment():
    text = edited(("version: v1\n", "version: v1\nrelease: {bake: 7m}\ninstances: 3\n"), text=TWO)
    first, second = states(
        text + "    release: {drain: 2s}\n", workspace("release: {bake: 1m, drain: 9s}\ninstances: 8")
    )
    assert (first.instances, second.instances) == (3, 3)
    assert (second.strategy.steps[0].bake, second.strategy.drain, first.strategy.drain) == (420, 2, 9)


def test_lists_replace():
    around = workspace("release: {steps: [10%, 20%, 100%]}")
    (state,) = states(SHOP + "    release: {steps: [50%, 100%]}\n", around)
    assert [step.weight for step in state.strategy.steps] == [5000, FULL_WEIGHT]


def test_steps_of_a_workspace_say_how_a_canary_goes_and_not_that_there_is_one():
    first, last = states(TWO, workspace("release: {steps: [50%, 100%]}"))
    assert first.strategy.kind is StrategyKind.ALL_AT_ONCE
    assert [step.weight for step in last.strategy.steps] == [5000, FULL_WEIGHT]
    (state,) = states(SHOP + "    release: {strategy: all-at-once}\n", workspace("release: {steps: [50%, 100%]}"))
    assert state.strategy.kind is StrategyKind.ALL_AT_ONCE
    (state,) = states(SHOP, workspace("release: {strategy: all-at-once}"))
    assert state.strategy.kind is StrategyKind.ALL_AT_ONCE


def test_a_component_is_a_layer_between_project_and_environment():
    text = edited(
        ("version: v1\n", "version: v1\ninstances: 5\n"),
        ("environments:\n", f"{COMPONENTS}    process: {{command: mailer, health: /c}}\nenvironments:\n"),
        ("    port: 8080\n", "    ports: {mail: 81, web: 80}\n    versions: {web: v3}\n    process: {env: {E: e}}\n"),
        text=SHOP,
    )  # fmt: skip
    found = drafted(text, workspace("process: {health: /ws}"))
    (wish,) = found.drafts[0].wishes
    state = wish.desired
    (mail,) = state.components
    assert (state.component, state.artifact.version, state.instances, state.port) == ("web", "v3", 5, 80)
    assert (mail.name, mail.artifact.version, mail.instances, mail.port) == ("mail", "v2", 2, 81)
    assert json.loads(state.spec) == {"command": ["python3", "app.py"], "env": {"E": "e"}, "health": "/ws"}
    assert json.loads(mail.spec) == {"command": ["mailer"], "env": {"E": "e"}, "health": "/c"}
    lines = text.splitlines()
    assert [lines[place.line - 1][place.column - 1 :] for place in wish.versions] == ["v3}", "v2"]
    assert [lines[place.line - 1][place.column - 1 :] for place in wish.ports] == ["80}", "81, web: 80}"]


def test_needs_and_after_are_told_with_their_places():
    text = edited(
        ("version: v1\n", "version: v1\ndependsOn: [db, {project: auth, workspace: core, environment: live}]\n"),
        text=TWO,
    )
    found = drafted(text + "    after: [prod]\n").drafts[0]
    assert [(need.workspace, need.project, need.environment) for need in found.needs] == [
        ("acme", "db", ""),
        ("core", "auth", "live"),
    ]
    assert [wish.desired.after for wish in found.wishes] == [(), ("prod",)]
    assert text.splitlines()[found.needs[0].place.line - 1][found.needs[0].place.column - 1 :].startswith("db,")
    assert [place.line for place in found.wishes[1].after] == [len(text.splitlines()) + 1]


VALUES = st.recursive(
    st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def parts(value, path=()):
    yield path, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        yield from parts(inner, (*path, step))


def at(value, path):
    for step in path:
        value = value[step]
    return value


@settings(max_examples=200, deadline=None)
@given(st.lists(MAPPINGS, min_size=1, max_size=4))
def test_whatever_layers_say_together_has_an_owner_that_says_it(values):
    near_first = [Written(Document("f", value, {}, ""), (), value, str(n)) for n, value in enumerate(values)]
    together: dict = {}
    for value in reversed(values):
        together = merged(together, value)
    for path, value in parts(together):
        found = owners(near_first, path)
        said = at(found[0].value, path)
        assert said == value or (isinstance(said, dict) and isinstance(value, dict))
    assert not owners(near_first, ("c", "no", "such"))


# --- named targets ---


def test_a_target_is_seen_by_its_workspace_and_by_those_it_is_shared_with():
    text = SHOP + "    target: vm\n"
    other = HEAD.format("Target", "vm") + "workspace: core\ntype: process\n"
    (refusal,) = problems(text, other)
    assert refusal == "p.yaml:12:13: `target`: there is no `vm`. Known here: `process`"
    for sharing in ("sharedWith: all\n", "sharedWith: [acme, x]\n"):
        assert states(text, other + sharing)[0].target == "process"
    assert problems(text, other + "sharedWith: [x]\n") == [refusal]


def test_a_workspaces_own_target_hides_a_shared_one():
    shared = target("vm", "health: /shared", "sharedWith: all\n", owner="core")
    (state,) = states(SHOP + "    target: vm\n", shared, target("vm", "health: /own"))
    assert json.loads(state.spec)["health"] == "/own"


def test_a_name_that_two_workspaces_share_is_held():
    one, two = (target("vm", "", "sharedWith: all\n", owner=name) for name in ("core", "base"))
    found = drafted(SHOP + "    target: vm\n", one, two)
    assert found.drafts[0].problem == "more than one target `vm` is shared with this workspace"
    assert not found.drafts[0].wishes


def test_the_default_target_of_a_workspace_may_be_a_target():
    (state,) = states(SHOP, workspace("target: vm"), target("vm", "health: /vm"))
    assert json.loads(state.spec)["health"] == "/vm"


@pytest.mark.parametrize("broken", [target("vm", "halth: /x"), target("vm") + "---\n" + target("vm")])
def test_a_broken_target_holds_who_uses_it_and_nobody_else(broken):
    found = drafted(SHOP + "    target: vm\n", broken)
    assert found.problems == ()
    assert "the target `vm`" in found.drafts[0].problem
    assert not found.drafts[0].wishes
    assert states(SHOP, broken)


@pytest.mark.parametrize("broken", [workspace("rooter: x"), workspace("") + "---\n" + workspace("")])
def test_a_broken_workspace_holds_its_projects_and_no_others(broken):
    found = drafted(SHOP, broken)
    assert "the workspace `acme`" in found.drafts[0].problem
    assert found.problems == ()
    assert not found.drafts[0].wishes
    assert found.drafts[0].keys
    assert states(MINIMAL, broken)


# --- mistakes ---


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ("router: envoi", "d0.yaml:5:11: `router`: there is no `envoi`. Did you mean `envoy`?"),
        ("analysis: {source: graphit}", "`source`: there is no `graphit`"),
        ("release: {bake: 1h}", "d0.yaml:5:19: `bake`: a bake of 1h is longer than maxBake, which is 30m."),
        ("process: {halth: /x}", "`halth` is not known in `process`. Did you mean `health`?"),
        ("process: {env: {PIN: 5551234}}", "`PIN`: expected a text, found a number."),
        ("process: 5", "`process`: expected a mapping, found the number 5."),
        ("port: 80", "`port` is not known in `defaults`."),
    ],
)
def test_a_wrong_default_is_a_problem_of_the_workspace(defaults, expected):
    (problem,) = draft_file("d0.yaml", "", workspace(defaults).encode()).problems
    assert expected in str(problem)


def test_a_default_may_be_a_part_of_a_block():
    found = draft_file(
        "d.yaml", "", (workspace("process: {health: /x}") + "---\n" + target("vm", "health: /y")).encode()
    )
    assert found.problems == ()
    assert [(draft.kind, draft.workspace, draft.name) for draft in found.drafts] == [
        ("Workspace", "acme", "acme"),
        ("Target", "acme", "vm"),
    ]


def test_a_mistake_of_a_target_document_is_its_own():
    texts = (target("vm", kind="proces"), target("vm", "halth: /x"), target("vm", kind="other", block="health: /"))
    found = [draft_file("t.yaml", "", text.encode()).problems[0] for text in texts]
    assert [problem.code for problem in found] == [Code.UNKNOWN_ADAPTER, Code.UNKNOWN_FIELD, Code.UNKNOWN_ADAPTER]


def test_a_mistake_that_a_default_causes_is_shown_at_the_default_and_names_the_project():
    found = drafted(SHOP, workspace("target: vm"))
    (problem,) = found.problems
    assert str(problem) == (
        "d0.yaml:5:11: `target`: there is no `vm` (as a default of the project `acme/hello`). Known here: `process`"
    )
    assert found.drafts[0].problem == str(problem)
    together = workspace("target: vm") + "---\n" + SHOP
    (same,) = draft_file("d0.yaml", "", together.encode(), layers(together)).problems
    assert same == problem


def test_what_does_not_fit_a_default_is_to_blame_and_not_the_default():
    own = "    release: {bake: 50m}\n"
    for around in (workspace("release: {maxBake: 20m}"), workspace("")):
        (problem,) = drafted(SHOP + own, around).problems
        assert str(problem).startswith("p.yaml:12:21: `bake`: a bake of 50m is longer than maxBake")
    (problem,) = drafted(SHOP + "    release: {maxBake: 5m}\n", workspace("release: {bake: 20m}")).problems
    assert problem.place.file == "p.yaml"


def test_what_no_layer_says_is_missing_in_the_project():
    text = edited(("process:\n  command: python3 app.py\n", ""), text=SHOP)
    (problem,) = drafted(text, workspace("process: {health: /x}")).problems
    assert str(problem) == "p.yaml:8:5: `command` is missing in `process`. Add `command:` with its value"


def test_a_wrong_project_is_to_blame_whatever_the_defaults_are():
    around = workspace("release: {bake: 1m}\nprocess: {env: {A: a}}")
    text = SHOP + "    release: {baek: 2m}\n    process: {env: {A: 5}}\n"
    assert [line.partition(": ")[0] for line in problems(text, around)] == ["p.yaml:12:15", "p.yaml:13:24"]


def test_values_of_env_in_defaults_are_never_repeated():
    for text in (workspace("process: {env: {PIN: 5551234}}"), target("vm", "env: {PIN: 5551234}")):
        found = draft_file("d.yaml", "", text.encode())
        assert found.problems
        assert "5551234" not in str(found)


# --- what was used ---


def test_equal_content_has_an_equal_digest_wherever_it_stands():
    text = workspace("router: envoy") + "---\n" + target("vm", "health: /x")
    moved = "# a comment\n\n" + text.replace("defaults:", "defaults:   # some")
    assert layers(text).digest("acme") == layers(moved).digest("acme")
    assert layers(text).digest("acme") != layers(text.replace("/x", "/y")).digest("acme")
    assert (
        layers(text).digest("other") == layers(moved.replace("/x", "/y")).digest("other") == NO_LAYERS.digest("other")
    )


def test_what_others_do_does_not_change_the_digest():
    text = workspace("router: envoy")
    quotas = "quotas: {projects: 5}\nowners: [a@example.com]\n"
    others = target("vm", "health: /x", owner="core") + "---\n" + workspace("router: envoy", "core")
    assert layers(text).digest("acme") == layers(text + quotas, others).digest("acme")


def test_a_file_fits_the_layers_it_was_drafted_with():
    one, other = layers(workspace("instances: 2")), layers(workspace("instances: 3"))
    file = draft_file("p.yaml", "b", SHOP.encode(), one)
    assert file.layers == (("acme", one.digest("acme")),)
    assert one.fit(file)
    assert not other.fit(file)
    assert not NO_LAYERS.fit(file)
    assert NO_LAYERS.fit(draft_file("p.yaml", "b", SHOP.encode()))
    assert not one.fit(draft_file("p.yaml", "b", SHOP.encode()))


def test_a_file_that_blames_a_default_has_to_be_drafted_again_when_that_moves():
    here, below = layers(workspace("target: vm")), layers("\n" + workspace("target: vm"))
    file = draft_file("p.yaml", "b", SHOP.encode(), here)
    assert here.digest("acme") == below.digest("acme")
    assert here.fit(file)
    assert not below.fit(file)


def test_layers_reach_another_process_as_they_are():
    given_ = layers(workspace("target: vm"), target("vm", "env: {A: a}"), workspace("x: y", "bad"))
    there = Layers.unpacked(given_.packed())
    for name in ("acme", "bad", "other"):
        assert there.digest(name) == given_.digest(name)
        assert there.blaming(name) == given_.blaming(name)
    assert draft_file("p.yaml", "b", SHOP.encode(), there) == draft_file("p.yaml", "b", SHOP.encode(), given_)


def test_a_draft_with_a_problem_elsewhere_survives_its_record():
    file = drafted(SHOP, workspace("target: vm"))
    assert decode("p.yaml", "b", encode("p.yaml", file)) == file


# --- documents ---


def test_a_misspelt_kind_keeps_what_the_document_holds():
    (draft,) = draft_file("p.yaml", "b", edited(("Project", "Projct")).encode()).drafts
    assert (draft.kind, draft.name, [key.environment for key in draft.keys]) == ("Project", "hello", ["prod"])
    assert draft_file("p.yaml", "b", workspace("").replace("Workspace", "Workspce").encode()).lost


def test_the_body_is_canonical_json_of_a_sound_document():
    text = workspace("router: envoy")
    (draft,) = draft_file("w.yaml", "b", text.encode()).drafts
    assert draft.body == canonical(load("w.yaml", text.encode()).documents[0].value)
    (draft,) = draft_file("w.yaml", "b", (text + "x: y\n").encode()).drafts
    assert draft.body == ""
    assert draft.problem


SPECS = st.builds(
    ProcessSpec,
    command=st.just(("a",)),
    env=st.dictionaries(st.sampled_from("AB"), st.text(st.characters(exclude_characters="\0"), max_size=5)),
    health=st.just("/"),
    start_deadline=st.sampled_from([30, 5.5]),
)


@given(SPECS)
def test_a_block_is_split_into_what_canonical_gives(spec):
    behaviour, runtime = split("process", spec)
    assert behaviour == canonical(json.loads(behaviour))
    told = {**json.loads(behaviour), **json.loads(runtime)}
    assert ProcessSpec(**told) == spec
    assert json.loads(runtime).keys() <= RUNTIME
