from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.patterns import duration_schema, percent_schema, size_schema
from reconciler.core.units import (
    Money,
    format_duration,
    format_money,
    format_percent,
    format_size,
    parse_duration,
    parse_money,
    parse_percent,
    parse_size,
    percent_words,
)


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
        ("0s", 0.0),
        ("0.001ms", 0.000001),
        ("1h05m", 3900.0),
        ("1m1s1ms", 61.001),
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


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("5M", "5m"), ("5 m", "5m"), (" 5m", "5m"), ("30S", "30s"), ("1.5H", "1.5h"), ("500 MS", "500ms")],
)
def test_a_unit_in_other_letters_or_behind_a_space_is_guessed(wrong, meant):
    with pytest.raises(ValueError, match=rf"did you mean {re.escape(meant)}\?"):
        parse_duration(wrong)


@pytest.mark.parametrize(
    ("wrong", "instead"), [("1h90m", "2h30m"), ("1d24h", "2d"), ("0h5m", "5m"), ("02s1ms", "2s1ms"), ("1h005m", "1h5m")]
)
def test_a_duration_has_one_spelling_but_for_a_zero_in_front_of_a_later_part(wrong, instead):
    with pytest.raises(ValueError, match=f"expected {instead} for this time"):
        parse_duration(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        "1e999",
        "1e3s",
        "5m5",
        "5mm",
        "5m\n",
        "0.0001s",
        "1.5h30m",
        "05m",
        "1_000s",
        "1,5s",
        "+5m",
        "5m;",
        "∞",
        "½h",
        "10**15",
        10**15 + 1,
        10**400,
        1e300,
    ],
)
def test_junk_and_the_absurd_are_no_durations(wrong):
    with pytest.raises(ValueError, match=r"expected|at most|for this time"):
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


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("512B", 512), ("1kB", 1000), ("1KiB", 1024), ("64MiB", 64 << 20), ("1 GB", 10**9), ("2PiB", 2 << 50)],
)
def test_sizes_are_bytes_in_decimal_and_binary_units(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "64",
        64,
        "1.5GiB",
        "-1MB",
        "1e3MB",
        "MB",
        "9" * 20 + "B",
        "64MiB ",
        "64 M iB",
        None,
        True,
        [],
        "NaNB",
        "064MiB",
    ],
)
def test_what_is_no_size_is_refused(wrong):
    with pytest.raises(ValueError, match="expected a whole number with its unit, such as 64MiB or 1GB, found"):
        parse_size(wrong)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("64mib", "64MiB"), ("1gb", "1GB"), ("1G", "1GB"), ("5M", "5MB"), ("1KB", "1kB"), ("7ki", "7KiB")],
)
def test_a_size_unit_in_other_letters_is_guessed(wrong, meant):
    with pytest.raises(ValueError, match=rf"did you mean {meant}\?"):
        parse_size(wrong)


def test_an_unknown_size_unit_is_answered_with_all_of_them():
    with pytest.raises(ValueError, match="the units are B, kB, MB, GB, TB, PB, KiB, MiB, GiB, TiB, PiB"):
        parse_size("5x")


@given(st.integers(min_value=0, max_value=10**12))
def test_a_formatted_size_reads_back(size):
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "money"),
    [
        ("1200 USD/month", Money(120_000, "USD", "month")),
        ("0.5 EUR/hour", Money(50, "EUR", "hour")),
        ("0.05 EUR/day", Money(5, "EUR", "day")),
        ("999999999999.99 JPY/year", Money(99_999_999_999_999, "JPY", "year")),
        ("0 CHF/day", Money(0, "CHF", "day")),
    ],
)
def test_money_is_whole_hundredths_of_a_currency_in_a_period(text, money):
    assert parse_money(text) == money
    assert parse_money(format_money(money)) == money


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "",
            "1200",
            "1200 USD",
            "USD/month",
            "1200USD/month",
            "-1 USD/month",
            "1.234 USD/month",
            "1e3 USD/month",
            "NaN USD/month",
        ),
        *(
            "1,200 USD/month",
            "1200 USD/month ",
            "$1200/month",
            "1200 USDT/month",
            "0012 USD/day",
            "9" * 13 + " USD/day",
            1200,
            None,
            True,
        ),
        *("1200 USD/week", "1200 US$/day", "1.2.3 USD/day"),
    ],
)
def test_what_is_no_money_is_refused(wrong):
    with pytest.raises(ValueError, match="expected an amount, a currency and a period, such as 1200 USD/month, found"):
        parse_money(wrong)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("1200 usd/month", "1200 USD/month"), ("1.50 Eur/Days", "1.50 EUR/day"), ("1 USD/MONTH", "1 USD/month")],
)
def test_money_in_other_letters_is_guessed(wrong, meant):
    with pytest.raises(ValueError, match=rf"did you mean {re.escape(meant)}\?"):
        parse_money(wrong)


# --- expressions for JSON Schema accept what the parsers accept within a range, exactly ---

RANGES = [(0, 604_800), (1, 86_400), (0.2, 600), (0, 3600), (0.01, 86_400), (60, 31_622_400)]
NUMBERS = (
    st.integers(0, 100) | st.integers(0, 10**7) | st.sampled_from([86_399, 86_400, 604_800, 604_801, 1440, 168, 7])
)
PARTS = st.builds("{}{}".format, NUMBERS, st.sampled_from(["", ".5", ".25", ".001", ".0001", "."])) | st.sampled_from(
    ["00", "05", "007"]
)
DURATIONS = st.lists(st.tuples(PARTS, st.sampled_from(["d", "h", "m", "s", "ms"])), min_size=1, max_size=3).map(
    lambda parts: "".join(number + unit for number, unit in parts)
)


@pytest.mark.parametrize(("least", "most"), RANGES)
def test_the_expression_of_a_duration_accepts_its_range(least, most):
    texts, numbers = duration_schema(least, most)["anyOf"]
    pattern = re.compile(texts["pattern"])
    assert (numbers["minimum"], numbers["maximum"]) == (least, most)

    @given(DURATIONS)
    def compare(text):
        try:
            inside = least <= parse_duration(text) <= most
        except ValueError:
            inside = False
        assert (pattern.fullmatch(text) is not None) == inside

    compare()
    for edge in (least, most):
        assert pattern.fullmatch(format_duration(edge))
    for beyond in (most + 1, most + 0.001, max(0, least - 0.001)):
        assert bool(pattern.fullmatch(format_duration(beyond))) == (least <= beyond <= most)


def test_a_range_that_no_expression_can_hold_is_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="not whole in m"):
        duration_schema(0, 90)


@pytest.mark.parametrize(("least", "most"), [(1, 10_000), (1, 5000), (0, 10_000), (250, 275), (99, 101)])
def test_the_expression_of_a_percentage_accepts_its_range(least, most):
    pattern = re.compile(percent_schema(least, most)["pattern"])
    for hundredths in range(10_100):
        inside = least <= hundredths <= most
        assert (pattern.fullmatch(f"{hundredths // 100}.{hundredths % 100:02}%") is not None) == inside
        assert (pattern.fullmatch(f"{hundredths // 100}.{hundredths % 100:02} %") is not None) == inside
        if hundredths % 10 == 0:
            assert (pattern.fullmatch(f"{hundredths // 100}.{hundredths % 100 // 10}%") is not None) == inside
        if hundredths % 100 == 0:
            assert (pattern.fullmatch(f"{hundredths // 100}%") is not None) == inside
    assert not pattern.fullmatch(f"0{least // 100}%")


@given(
    st.integers(0, 10**13), st.integers(0, 10**13), st.integers(0, 10**13), st.sampled_from(["B", "kB", "MiB", "TB"])
)
def test_the_expression_of_a_size_accepts_its_range(one, other, count, unit):
    least, most = sorted((one, other))
    pattern = re.compile(size_schema(least, most)["pattern"])
    for size in (count, least, most, least - 1, most + 1):
        if size >= 0:
            assert (pattern.fullmatch(f"{size}B") is not None) == (least <= size <= most)
    assert (pattern.fullmatch(f"{count}{unit}") is not None) == (least <= parse_size(f"{count}{unit}") <= most)
