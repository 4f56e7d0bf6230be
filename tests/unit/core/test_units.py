from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.units import format_duration, format_percent, parse_duration, parse_percent, percent_words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("7d", 604800.0),
        (" 2s ", 2.0),
        (10, 10.0),
        (0.25, 0.25),
        (0, 0.0),
    ],
)
def test_durations_are_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "wrong", ["", "5", "5 minutes", "-3s", "1m1h", "1s1s", "s", "1e3s", "٣s", "9" * 400 + "s", True, None, [], {}]
)
def test_what_is_no_duration_is_refused_and_told_what_is(wrong):
    with pytest.raises(ValueError, match=r"expected a number of seconds or text such as 500ms|each unit once"):
        parse_duration(wrong)


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf")])
def test_a_duration_is_finite_and_not_negative(wrong):
    with pytest.raises(ValueError, match="finite and not negative"):
        parse_duration(wrong)
    with pytest.raises(ValueError, match="finite and not negative"):
        format_duration(wrong)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_formatted_duration_reads_back(milliseconds):
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("text", "hundredths"), [("0%", 0), ("0.1%", 10), ("0.25%", 25), ("5 %", 500), ("100%", 10_000)]
)
def test_percentages_are_hundredths_of_a_percent(text, hundredths):
    assert parse_percent(text) == hundredths


@pytest.mark.parametrize("wrong", ["5", 5, "0.001%", "101%", "-1%", "%", "", None, "1e1%", "٣%"])
def test_what_is_no_percentage_is_refused(wrong):
    with pytest.raises(ValueError, match=r"expected a percentage such as 5%|at most 100%"):
        parse_percent(wrong)


@given(st.integers(min_value=0, max_value=10_000))
def test_a_formatted_percentage_reads_back(hundredths):
    assert parse_percent(format_percent(hundredths)) == hundredths


@pytest.mark.parametrize(("hundredths", "words"), [(1, "0.01 %"), (50, "0.5 %"), (500, "5 %"), (10_000, "100 %")])
def test_sentences_put_a_space_before_the_percent_sign(hundredths, words):
    assert percent_words(hundredths) == words
