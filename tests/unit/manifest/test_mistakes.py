"""The problems that people see, word for word."""

from __future__ import annotations

import pytest
from manifest_samples import MINIMAL, edited, environment, lines
from pydantic_core import ValidationError
from pydantic_core._pydantic_core import list_all_errors

from reconciler.manifest.load import Document
from reconciler.manifest.problem import MAX_SHOWN
from reconciler.manifest.translate import translate

PROD = "    port: 8080\n"

MISTAKES = {
    "typo in a field": (
        [("version: v1\n", "versoin: v1\n")],
        ["5:1: `versoin` is not known. Did you mean `version`?"],
    ),
    "typo in a field of a block": (
        [("command", "comand")],
        ["7:3: `comand` is not known in `process`. Did you mean `command`?"],
    ),
    "field in the wrong place": (
        [(PROD, f"{PROD}    bake: 1m\n")],
        ["11:5: `bake` is not known in `environments`. It belongs in `release`"],
    ),
    "command outside of its block": (
        [("process:\n  ", "")],
        [
            "6:1: `command` is not known. It belongs in `process`",
            "8:5: `command` is missing in `process`. Add `command:` with its value",
        ],
    ),
    "number as command": (
        [("python3 app.py", "5")],
        ["7:12: `command`: expected a command line, or a list of its words, found the number `5`. Change the value"],
    ),
    "version that is a number": (
        [("version: v1\n", "version: 1.10\n")],
        ['5:10: `version`: expected a text, found the number `1.10`. Put it in quotes: `"1.10"`'],
    ),
    "version missing": ([("version: v1\n", "")], ["1:1: `version` is missing. Add `version:` with its value"]),
    "version that git would refuse": (
        [("version: v1\n", "version: -v1\n")],
        [
            (
                "5:10: `version`: expected a tag, branch or commit, found `-v1`. "
                "Letters, digits and - _ . + / are allowed, as git allows them in a tag"
            )
        ],
    ),
    "port as text": (
        [("8080", '"8080"')],
        ["10:11: `port`: expected a whole number, found the text `8080`. Write a whole number without quotes"],
    ),
    "port out of range": (
        [("8080", "80800")],
        ["10:11: `port`: expected at most 65535, found the number `80800`. Choose a number from 1 to 65535"],
    ),
    "port twice": (
        [(PROD, PROD + environment("test", 8080))],
        [
            "10:11: port 8080 belongs to default/hello/test too, in prodsprint.yaml:12:11. Choose another port",
            "12:11: port 8080 belongs to default/hello/prod too, in prodsprint.yaml:10:11. Choose another port",
        ],
    ),
    "environment twice": (
        [(PROD, PROD + environment("prod", 8081))],
        ["11:11: `name`: there is an environment `prod` already. Rename or remove one of them"],
    ),
    "no environments": (
        [("environments:\n  - name: prod\n" + PROD, "environments: []\n")],
        ["8:15: `environments`: expected at least 1 of them, found an empty list. Write 1 to 50 of them"],
    ),
    "environments as a mapping": (
        [("  - name: prod\n" + PROD, "  prod:\n    port: 8080\n")],
        [
            "9:3: `environments`: expected a list, found a mapping. Write its items in `[ ]`, or below it after `- ` each"
        ],
    ),
    "100% missing": (
        [(PROD, f"{PROD}    release:\n      steps: [1%, 5%]\n")],
        ["12:19: `steps`: expected 100% as the last step, found 5%. Add 100% at the end of the list"],
    ),
    "steps that descend": (
        [(PROD, f"{PROD}    release:\n      steps: [5%, {{weight: 1%}}, 100%]\n")],
        [
            (
                "12:19: `steps`: expected more than the 5% before it, found 1%. "
                "Put the weights in ascending order, each once"
            )
        ],
    ),
    "steps without a percent sign": (
        [(PROD, f"{PROD}    release:\n      steps: [1, 100]\n")],
        [
            f"12:{column}: `weight`: expected a percentage such as 5% or 0.25% (at most two decimals), found {number}. "
            f"Write `{number}%`"
            for column, number in ((15, 1), (18, 100))
        ],
    ),
    "steps of a release at once": (
        [(PROD, f"{PROD}    release: {{strategy: all-at-once, steps: [100%]}}\n")],
        [
            (
                "11:45: `steps`: steps belong to the strategy canary, found all-at-once. "
                "Remove `steps`, or change `strategy`"
            )
        ],
    ),
    "unknown strategy": (
        [(PROD, f"{PROD}    release: {{strategy: canaries}}\n")],
        [
            (
                "11:25: `strategy`: expected one of `canary`, `all-at-once`, found the text `canaries`. "
                "Did you mean `canary`?"
            )
        ],
    ),
    "bake longer than allowed": (
        [(PROD, f"{PROD}    release: {{bake: 1h}}\n")],
        ["11:21: `bake`: a bake of 1h is longer than maxBake, which is 30m. Set `maxBake` to at least 1h"],
    ),
    "duration without sense": (
        [(PROD, f"{PROD}    release: {{bake: -5m, drain: 5 minutes}}\n")],
        [
            (
                "11:21: `bake`: expected a number of seconds or text such as 500ms, 30s, 5m, 1h30m, 7d, found '-5m'. "
                "Write the number with its unit"
            ),
            (
                "11:33: `drain`: expected a number of seconds or text such as 500ms, 30s, 5m, 1h30m, 7d, found '5 minutes'. "
                "Write the number with its unit"
            ),
        ],
    ),
    "interval out of range": (
        [(PROD, f"{PROD}    analysis: {{interval: 100ms}}\n")],
        ["11:26: `interval`: expected 200ms to 10m, found `100ms`. Choose a value in between"],
    ),
    "unknown adapters": (
        [(PROD, f"{PROD}    router: envoi\n    analysis: {{source: graphite}}\n")],
        [
            "11:13: `router`: there is no `envoi`. Did you mean `envoy`?",
            "12:24: `source`: there is no `graphite`. Known here: {sources}",
        ],
    ),
    "unknown target": (
        [(PROD, f"{PROD}    target: kubernets\n")],
        ["11:13: `target`: there is no `kubernets`. Known here: `process`"],
    ),
    "waits for an environment that is not there": (
        [(PROD, f"{PROD}    after: prd\n" + environment("qa", 8081))],
        ["11:12: `after`: there is no environment `prd` in this project. Known here: `none`, `qa`"],
    ),
    "waits for itself": (
        [(PROD, f"{PROD}    after: prod\n")],
        ["11:12: `after`: `prod` cannot wait for itself. Name another environment, or `none`"],
    ),
    "wrong apiVersion": (
        [("prodsprint/v1", "prodsprint/v2")],
        [
            (
                "1:13: `apiVersion`: expected `prodsprint/v1`, found the text `prodsprint/v2`. "
                "Write `apiVersion: prodsprint/v1`"
            )
        ],
    ),
    "wrong kind": (
        [("kind: Project", "kind: project")],
        [
            (
                "2:7: `kind`: expected `Project`, `Workspace`, `Target`, `Waiver`, `Approval`, `Freeze`, `PolicyPack`, "
                "found the text `project`. Did you mean `Project`?"
            )
        ],
    ),
    "name with capitals": (
        [("hello\n", "Hello\n")],
        [
            (
                "3:7: `name`: expected a name of at most 40 small letters, digits and inner hyphens, found `Hello`. "
                "Rename it"
            )
        ],
    ),
    "environment variable that is a number": (
        [("app.py", "app.py\n  env: {PIN: 1234, ON: true}")],
        [
            "8:14: `PIN`: expected a text, found a number. Put it in quotes",
            "8:24: `ON`: expected a text, found a boolean. Put it in quotes",
        ],
    ),
    "tab": (
        [("  - name", "\t- name")],
        ['9:1: found a tab, manifests have none. Indent with spaces; inside a text write "\\t" in double quotes'],
    ),
    "nothing after a key": (
        [("version: v1\n", "version:\n")],
        ['5:1: `version` has no value. Give it one (`""` is the empty text), or remove it'],
    ),
    "colon in a plain text": (
        [("python3 app.py", "python3 app.py --label a: b")],
        ["7:36: found a second `:` in one line. Put a text that has `: ` in it in quotes, or begin a new line"],
    ),
    "wrong indentation": (
        [("    port", "   port")],
        ["10:4: this line does not belong to what is around it. Give it the same indentation as its neighbours"],
    ),
    "token in the URL": (
        [("https://", "https://x:hunter2@")],
        [
            (
                "4:9: `source`: the URL has credentials in it. "
                "Remove them, and give the daemon the token in a file or an environment variable"
            )
        ],
    ),
    "not a manifest": (
        [(MINIMAL, "- just\n- a list\n")],
        ["1:1: a manifest has to be a mapping, found a list of 2. Begin with `apiVersion: prodsprint/v1`"],
    ),
}


@pytest.mark.parametrize(("changes", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_prints(changes, expected):
    from reconciler.manifest.kinds import metric_sources

    sources = ", ".join(f"`{name}`" for name in metric_sources())
    assert lines(edited(*changes)) == [line.replace("{sources}", sources) for line in expected]


def test_problem_of_a_merged_block_points_to_where_it_is_written():
    own = f"{PROD}    process:\n      health: nowhere\n"
    text = edited(("app.py", "app.py\n  startDeadline: 1y"), (PROD, own))
    assert [line.split(": ")[0] for line in lines(text)] == ["8:18", "13:15"]


def test_null_everywhere_is_found_everywhere():
    text = "".join(f"{line.split(':')[0]}:\n" for line in MINIMAL.splitlines())
    places = [line.partition(" ")[0] for line in lines(text)]
    assert places == ["1:1:", "2:1:", "3:1:", "4:1:", "5:1:", "7:3:", "9:5:", "10:5:"]


def test_long_and_odd_values_are_cut_and_escaped():
    (line,) = lines(edited(("hello\n", f'"{"x" * 10_000}"\n')))
    assert len(line) < 200
    assert "x" * MAX_SHOWN not in line
    (line,) = lines(edited(("hello\n", '"a\\u202eb\\n"\n')))
    assert "`a\\u202eb\\n`" in line


def test_values_of_env_are_never_repeated():
    for value in ("5551234", "[5551234]", "{a: 5551234}", "5551234.5", "'5551234'\n    BAD NAME: x", "'\\05551234'"):
        text = edited(("app.py", f"app.py\n  env:\n    PASSWORD: {value}\n  build: 5"))
        found = lines(text)
        assert found
        assert "5551234" not in "".join(found)


CASES = {case["type"]: case.get("example_context") for case in list_all_errors()}


@pytest.mark.parametrize(("kind", "context"), CASES.items(), ids=CASES)
def test_every_pydantic_error_is_translated(kind, context):
    detail: dict[str, object] = {"type": kind, "loc": ("name",), "input": 5}
    if context is not None:
        detail["ctx"] = context
    error = ValidationError.from_exception_data("Project", [detail])
    document = Document("f.yaml", {"name": 5}, {}, "")
    (problem,) = translate(error.errors(), "Project", (), lambda path: (document, path))
    assert problem.message
    assert problem.hint
    for jargon in ("Input should", "pydantic", "http", "instance", "dict", "permitted"):
        assert jargon not in str(problem)
