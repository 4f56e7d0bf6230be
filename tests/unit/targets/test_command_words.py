"""A command line falls into the words that a shell would make of it, by the short way as by the long one."""

from __future__ import annotations

import shlex

from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.targets._process_spec import ProcessSpec


@given(
    st.lists(
        st.sampled_from([*"ab=$#;|&*~\xa0\x0b\x0c\u2028", " ", "\t", "\r", "\n", "'", '"', "\\"]), max_size=12
    ).map("".join)
)
@example("python3 -m app --name=x  # no comment\n --last")
def test_words_are_those_of_shlex(text):
    try:
        expected = tuple(shlex.split(text))
    except ValueError:
        expected = ()
    if expected and expected[0]:
        assert ProcessSpec(command=text).command == expected
