"""Policy expressions (CEL), as far as their grammar goes. Nothing is evaluated here."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from reconciler.manifest.fields import fault
from reconciler.manifest.problem import Code, quoted

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

MAX_EXPRESSION = 2000
MAX_NESTING = 32
"""Brackets within brackets."""
_MAX_DEPTH = 400
"""Levels of the parsed tree: each takes several frames of the stack when it is evaluated."""
_LITERAL = re.compile(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|//[^\n]*')
_DEEP = "Divide it into several rules"


@cache
def _grammar() -> Lark:
    """A parser of our own: celpy's is one for the whole process, and tied to the first runner that asks for it."""
    from importlib.resources import files  # noqa: PLC0415 - all of this is slow, and few manifests hold expressions

    from celpy.celparser import CELParser  # noqa: PLC0415
    from lark import Lark  # noqa: PLC0415

    return Lark(
        files("celpy").joinpath("cel.lark").read_text(encoding="utf-8"),
        parser="lalr",
        start="expr",
        g_regex_flags=re.MULTILINE,
        lexer_callbacks={"IDENT": CELParser.ambiguous_literals},
        maybe_placeholders=False,
        priority="invert",
    )


def _parsed(text: str) -> str:
    if _nesting(text) > MAX_NESTING:
        found = f"expected at most {MAX_NESTING} brackets within each other, found more"
        raise fault(Code.WRONG_EXPRESSION, found, _DEEP)
    from lark.exceptions import LarkError, UnexpectedInput  # noqa: PLC0415 - slow

    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as error:
        ends = getattr(getattr(error, "token", None), "type", "") == "$END"
        found = _end(text) if ends else _where(text, error.line, error.column)
        raise fault(Code.WRONG_EXPRESSION, found, "Correct the CEL expression") from None
    except (LarkError, RecursionError, ValueError) as error:
        found = f"the expression cannot be read: {str(error).splitlines()[0]}"
        raise fault(Code.WRONG_EXPRESSION, found, "Correct the CEL expression") from None
    if _depth(tree) > _MAX_DEPTH:
        raise fault(Code.WRONG_EXPRESSION, "the expression has too many operators within each other", _DEEP)
    return text


def _depth(tree: Tree[Token]) -> int:
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in node.children if not isinstance(child, str)]
        depth += 1
    return depth


def _nesting(text: str) -> int:
    depth = most = 0
    for bracket in re.findall(r"[][(){}]", _LITERAL.sub("", text)):
        depth += 1 if bracket in "([{" else -1
        most = max(most, depth)
    return most


def _end(text: str) -> str:
    lines = text.split("\n")
    return f"the expression ends too early, at {len(lines)}:{len(lines[-1]) + 1}"


def _where(text: str, line: int, column: int) -> str:
    rest = text.split("\n")[line - 1][column - 1 :]
    return f"the expression is not CEL at {line}:{column} of it, where {quoted(rest[:20])} begins"


Expression = Annotated[str, Field(min_length=1, max_length=MAX_EXPRESSION), AfterValidator(_parsed)]
"""Text of a CEL expression."""
