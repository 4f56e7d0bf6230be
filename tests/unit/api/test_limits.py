from __future__ import annotations

from reconciler.api import limits
from reconciler.api.limits import Bucket, Failures, Rate, Seen, network


def test_tokens_come_back_with_time_and_never_more_than_the_burst():
    bucket = Bucket(Rate(2, 3))
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]
    assert [bucket.take(1000) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_back_gives_no_token():
    bucket = Bucket(Rate(1, 1))
    assert bucket.take(100)
    assert not bucket.take(50)
    assert not bucket.take(100.5)
    assert bucket.take(101)


def test_what_was_seen_is_forgotten_with_time_and_with_number():
    seen = Seen(10, 2)
    seen.add(b"a", 0)
    seen.add(b"b", 5)
    assert seen.has(b"a", 10)
    assert not seen.has(b"a", 10.1)
    seen.add(b"c", 11)
    seen.add(b"d", 12)
    assert [seen.has(one, 12) for one in (b"b", b"c", b"d")] == [False, True, True]


def test_failures_of_one_host_block_it_alone_and_those_of_all_block_whoever_proved_nothing():
    failures = Failures(Rate(1, 2), Rate(1, 5))
    failures.proven("10.0.0.9", 0)
    for _ in range(2):
        failures.failed("10.0.0.1", 0)
    assert failures.blocks("10.0.0.1", 0)
    assert not failures.blocks("10.0.0.2", 0)
    for number in range(3):
        failures.failed(f"10.0.1.{number}", 0)
    assert failures.blocks("10.0.0.2", 0)
    assert not failures.blocks("10.0.0.9", 0)
    assert not failures.blocks("10.0.0.2", 2)
    for number in range(9):
        failures.failed(f"10.0.2.{number}", 4000)
    assert failures.blocks("10.0.0.9", 4000)  # it proved itself too long ago


def test_what_is_remembered_of_hosts_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "MOST_PEERS", 10)
    failures = Failures(Rate(0, 1), Rate(0, 1e9))
    for number in range(1000):
        failures.failed(f"host{number}", 0)
        failures.proven(f"host{number}", 0)
    assert not failures.blocks("host0", 0)
    assert failures.blocks("host999", 0)


def test_one_host_of_ipv6_has_one_bucket_whatever_addresses_it_takes():
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("10.0.0.1") != network("10.0.0.2")
    assert network("") == ""
    assert network("fe80::1%eth0") == network("fe80::2")
