from __future__ import annotations

import json

import pytest
from celpy.celparser import CELParser
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_kinds import PACK

from reconciler.manifest.draft import draft_file
from reconciler.manifest.problem import Code


def problems(expression: object) -> list:
    rules = [{"id": "rule", "expression": expression, "message": "broken"}]
    pack = {**PACK, "rules": rules, "cases": []}
    return list(draft_file("f.prodsprint.yaml", "", json.dumps(pack).encode()).problems)


@pytest.mark.parametrize(
    "expression",
    [
        "true",
        "facts.coverage >= 80.0 && size(facts.vulnerabilities.filter(v, v.severity == 'high')) == 0",
        'facts.licences.all(l, l in ["MIT", "Apache-2.0"])',
        "has(facts.sbom) ? facts.sbom.components > 0 : false",
        "// a comment\nfacts.a\n  || facts.b",
        "'((((((((((((((((((((((((((((((((((((((((((((' != \"[[[\"",
        "(" * 32 + "true" + ")" * 32,
        " && ".join(["facts.a"] * 40),
    ],
)
def test_expressions_are_accepted(expression):
    assert problems(expression) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("size(facts", "the expression ends too early, at 1:11"),
        ("facts.coverage >=", "the expression ends too early, at 1:18"),
        ("a b", "the expression is not CEL at 1:3 of it, where `b` begins"),
        ("a &&\n  && b", "the expression is not CEL at 2:3 of it, where `&& b` begins"),
        ("a = 1", "the expression is not CEL at 1:3 of it, where `= 1` begins"),
        ("'open", "the expression is not CEL at 1:1 of it"),
        ("if (a) { b }", "the expression is not CEL at 1:12 of it"),
        ("(" * 33 + "true" + ")" * 33, "expected at most 32 brackets within each other, found more"),
        ("[" * 1999, "expected at most 32 brackets within each other, found more"),
        ("!" * 1900 + "a", "too many operators within each other"),
        ("+".join(["1"] * 900), "too many operators within each other"),
        ("a" + ".b" * 900, "too many operators within each other"),
        ("-" * 1900 + "1", "too many operators within each other"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_line_and_column(expression, said):
    (problem,) = problems(expression)
    assert problem.code is Code.WRONG_EXPRESSION
    assert said in problem.message


@pytest.mark.parametrize("expression", ["", "a" * 2001, 5, ["a"], {}])
def test_what_is_no_text_or_too_long_is_refused_before_it_is_read(expression):
    (problem,) = problems(expression)
    assert problem.code in {Code.WRONG_VALUE, Code.WRONG_TYPE}


def test_reading_expressions_leaves_the_parser_of_the_process_to_those_who_evaluate():
    problems("a == b")
    assert CELParser.CEL_PARSER is None


@given(st.text(alphabet="ab01.,()[]{}'\"\\!&|=<>+-*/%?: \n", max_size=80))
@settings(max_examples=200, deadline=1000)
def test_whatever_is_written_a_problem_says_so(expression):
    assert all(problem.code in {Code.WRONG_EXPRESSION, Code.WRONG_VALUE} for problem in problems(expression))
