from __future__ import annotations

import re
from datetime import datetime

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.times import NeverError
from reconciler.manifest.recurrence import RULE_PATTERN, check_happens, check_rule

START = datetime.fromisoformat("2026-01-30T12:00")


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY",
        "FREQ=WEEKLY;BYDAY=FR,SA,SU",
        "FREQ=MONTHLY;BYDAY=-1FR",
        "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=24",
        "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24;UNTIL=20351231",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYHOUR=18;BYMINUTE=30",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=DAILY;UNTIL=20301231T235959Z",
    ],
)
def test_rules_of_icalendar_are_accepted(rule):
    check_rule(rule)
    check_happens(rule, START)
    assert re.fullmatch(RULE_PATTERN, rule)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "expected a rule that begins with FREQ=DAILY, WEEKLY, MONTHLY, YEARLY"),
        ("FREQ=HOURLY", "expected a rule that begins with FREQ=DAILY"),
        ("FREQ=SECONDLY;COUNT=1", "expected a rule that begins with FREQ=DAILY"),
        ("BYDAY=MO;FREQ=WEEKLY", "expected a rule that begins with FREQ=DAILY"),
        ("RRULE:FREQ=DAILY", "expected a rule that begins with FREQ=DAILY"),
        ("FREQ=DAILY\nRDATE:20260101", "expected a rule that begins with FREQ=DAILY"),
        ("FREQ=DAILY;BYSECOND=1", "expected INTERVAL, COUNT, UNTIL"),
        ("FREQ=DAILY;BYEASTER=0", "expected INTERVAL, COUNT, UNTIL"),
        ("FREQ=DAILY;COUNT=0", "expected another value of COUNT"),
        ("FREQ=DAILY;COUNT=99999999999", "expected another value of COUNT"),
        ("FREQ=DAILY;INTERVAL=-1", "expected another value of INTERVAL"),
        ("FREQ=DAILY;UNTIL=soon", "expected another value of UNTIL"),
        ("FREQ=WEEKLY;BYDAY=6MO", "expected another value of BYDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "expected another value of BYMONTHDAY"),
        ("FREQ=DAILY;", "expected INTERVAL, COUNT, UNTIL"),
        ("FREQ=DAILY;BYMONTH=" + ",".join(["1"] * 200), "at most 300 characters"),
        ("F" * 10**6, "at most 300 characters"),
    ],
)
def test_what_is_no_rule_is_refused_and_told_what_is(rule, said):
    with pytest.raises(ValueError, match=said) as caught:
        check_rule(rule)
    assert not isinstance(caught.value, NeverError)
    assert len(rule) > 300 or not re.fullmatch(RULE_PATTERN, rule)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("FREQ=DAILY;COUNT=2;UNTIL=20300101", "ends by COUNT or by UNTIL, found both"),
        ("FREQ=DAILY;BYHOUR=1;BYHOUR=2", "a part stands twice"),
        ("FREQ=WEEKLY;BYDAY=1MO", "counts within a month or year"),
        ("FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1", "counts within a month or year"),
        ("FREQ=DAILY;BYSETPOS=1", "found it alone"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(rule, said):
    with pytest.raises(NeverError, match=said):
        check_rule(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;UNTIL=20251231",
        "FREQ=DAILY;UNTIL=20260130T115959Z",
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
    ],
)
def test_a_rule_that_names_no_time_is_refused_at_once(rule):
    with pytest.raises(NeverError, match="names no time"):
        check_happens(rule, START)


@pytest.mark.parametrize(
    "start",
    [
        datetime.fromisoformat("2028-02-29T00:00"),
        datetime.fromisoformat("2095-03-01T00:00"),
        datetime.fromisoformat("2096-02-29T00:00"),
        datetime.fromisoformat("2099-12-31T00:00"),
    ],
)
def test_a_rule_is_followed_from_any_start(start):
    check_happens("FREQ=DAILY;UNTIL=20991231", start)
    check_happens("FREQ=WEEKLY;BYDAY=MO", start)
    check_happens("FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1", start)


PARTS = st.sampled_from(
    [
        "BYDAY=MO",
        "BYDAY=-1SU",
        "COUNT=3",
        "UNTIL=20310101",
        "BYMONTH=2,4",
        "BYMONTHDAY=30,31",
        "BYSETPOS=-1,5",
        "INTERVAL=999",
        "BYHOUR=3",
    ]
)


@given(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]), st.lists(PARTS, max_size=5))
@settings(max_examples=150, deadline=2000)
def test_whatever_is_accepted_can_be_followed(frequency, parts):
    rule = ";".join([f"FREQ={frequency}", *parts])
    try:
        check_rule(rule)
        check_happens(rule, START)
    except NeverError:
        return
    assert next(iter(rrulestr(rule, dtstart=START))) >= START
