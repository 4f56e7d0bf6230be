from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.times import CRON_PATTERN, DATE, NeverError, check_cron, parse_deadline, parse_moment


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00+00:00"),
        ("2026-12-24T18:00Z", "2026-12-24T18:00:00+00:00"),
        ("2026-12-24T18:00:00.25+05:30", "2026-12-24T12:30:00.250000+00:00"),
        ("2026-12-24T00:00:00-14:00", "2026-12-24T14:00:00+00:00"),
        ("2026-12-24", "2026-12-25T00:00:00+00:00"),
        ("2028-02-29", "2028-03-01T00:00:00+00:00"),
        ("2026-12-31", "2027-01-01T00:00:00+00:00"),
    ],
)
def test_a_deadline_is_a_moment_and_a_day_counts_to_its_end(text, wall):
    assert datetime.fromtimestamp(parse_deadline(text), UTC).isoformat() == wall


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "",
            "soon",
            "2026",
            "2026-1-1",
            "2026-02-29",
            "2100-02-29",
            "2026-04-31",
            "2026-13-01",
            "2026-00-10",
            "2026-12-32",
        ),
        *("2026-12-24T24:00Z", "2026-12-24T18:60Z", "2026-12-24T23:59:60Z", "2026-12-24T18:00+25:00", "2026-12-24T18Z"),
        *(
            "1999-12-31",
            "2100-01-01",
            "20261224",
            "2026-W52-4",
            "2026-12-24T18:00Z\n",
            "\uff12\uff10\uff12\uff16-12-24",
            "2026-12-24T18:00 Europe/Paris",
        ),
    ],
)
def test_what_is_no_time_is_refused_and_told_what_is(wrong):
    with pytest.raises(ValueError, match="expected a date such as 2026-12-24, or a time such as 2026-12-24T18:00:00Z"):
        parse_moment(wrong)


@pytest.mark.parametrize(
    ("wrong", "meant"), [("2026-12-24 18:00Z", "2026-12-24T18:00Z"), ("2026-12-24t18:00z", "2026-12-24T18:00Z")]
)
def test_a_time_in_another_style_is_guessed(wrong, meant):
    with pytest.raises(ValueError, match=f"did you mean {re.escape(meant)}"):
        parse_moment(wrong)


def test_a_deadline_without_its_zone_is_refused():
    with pytest.raises(ValueError, match="expected a time with its zone, such as 2026-12-24T18:00Z or"):
        parse_deadline("2026-12-24T18:00")


def test_the_expression_of_a_date_accepts_every_day_of_its_years_and_no_other():
    pattern = re.compile(DATE)
    day, there = date(1999, 1, 1), set()
    while day.year < 2102:
        there.add(day.isoformat())
        day += timedelta(days=1)
    for year in range(1999, 2102):
        for month in range(14):
            for number in range(33):
                text = f"{year}-{month:02}-{number:02}"
                assert (pattern.fullmatch(text) is not None) == (text in there and 2000 <= year < 2100), text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "* * * * *",
            "0 18 * * fri",
            "*/5 9-17/2 1,15 jan-mar MON-Fri",
            "00 05 01 01 0",
            "0 0 31 1,2 *",
            "0 0 29 2 *",
            "0 0 * * 5-7",
        ),
        *("0 0 31 2 1", "0 0 30-31 feb-mar *", "0  0   *  * 7"),
    ],
)
def test_cron_expressions_are_accepted(text):
    check_cron(text)
    assert re.fullmatch(CRON_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected five fields"),
        ("@daily", "expected five fields"),
        ("0 0 18 * * fri", "expected five fields"),
        ("0 18 * *", "expected five fields"),
        (" 0 18 * * fri", "expected five fields"),
        ("60 * * * *", "expected minute from 0 to 59"),
        ("* 24 * * *", "expected hour from 0 to 23"),
        ("* * 0 * *", "expected day of the month from 1 to 31"),
        ("* * 32 * *", "expected day of the month from 1 to 31"),
        ("* * L * *", "expected day of the month from 1 to 31"),
        ("* * * 13 *", "expected month from 1 to 12 or a name"),
        ("* * * january *", "expected month from 1 to 12 or a name"),
        ("* * * * 8", "expected day of the week from 0 to 7 or a name"),
        ("* * * * 5#2", "expected day of the week from 0 to 7 or a name"),
        ("*/0 * * * *", "expected minute from 0 to 59"),
        ("5/2 * * * *", "expected minute from 0 to 59"),
        ("-1 * * * *", "expected minute from 0 to 59"),
        ("1,,2 * * * *", "expected minute from 0 to 59"),
        ("1e1 * * * *", "expected minute from 0 to 59"),
        ("٣ * * * *", "expected minute from 0 to 59"),
        ("* * * *\t*", "expected five fields"),
        (",".join(["1"] * 100) + " * * * *", "at most 200 characters"),
        ("*" * 10**6, "at most 200 characters"),
    ],
)
def test_what_is_no_cron_expression_is_refused_and_told_what_is(text, said):
    with pytest.raises(ValueError, match=said) as caught:
        check_cron(text)
    assert not isinstance(caught.value, NeverError)
    assert len(text) > 200 or not re.fullmatch(CRON_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("* * 31 2 *", "no month of '2' has a day '31'"),
        ("0 0 30 feb *", "no month of 'feb' has a day '30'"),
        ("0 0 31 4,6,9,11 *", "no month of '4,6,9,11' has a day '31'"),
        ("0 0 31 2 */1", "no month of '2' has a day '31'"),
        ("5-1 * * * *", "the range '5-1' runs backwards"),
        ("* * * * fri-mon", "the range 'fri-mon' runs backwards"),
    ],
)
def test_a_day_that_never_comes_is_refused(text, said):
    with pytest.raises(NeverError, match=said):
        check_cron(text)


@given(st.text(alphabet="0123456789*,-/ abcdefjlmnoprstuvy\n", max_size=40))
def test_whatever_is_written_the_expression_and_the_check_agree(text):
    try:
        check_cron(text)
        fine = True
    except NeverError:
        fine = True
    except ValueError:
        fine = False
    assert fine == (re.fullmatch(CRON_PATTERN, text) is not None)
