"""One commit costs one commit: what is counted is work, so that a slow machine gives the same result."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from link_samples import document, file, one, project, revision

from reconciler.manifest.layered import MOST, Ledger
from reconciler.manifest.link import Linker
from reconciler.manifest.records import FileDraft


def calls(work: Callable[[], object]) -> int:
    """How many Python functions run."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def service(n: int, **more) -> FileDraft:
    return file(project(f"{n}.yaml", f"p{n}", {"eu": 2 * n + 1, "prod": 2 * n + 2}, **more))


def fleet(size: int) -> Linker:
    linker = Linker(revision)
    files = {f"{n}.yaml": service(n, needs=(f"p{n - 1}",) if n % 7 == 3 else ()) for n in range(size)}
    linker.update("c1", files)
    assert len(linker.snapshot.desired) == 2 * size
    return linker


def cost(linker: Linker, change: str) -> int:
    n = 500
    more = {"mend": {"instances": 3}, "break": {"problem": "it is broken"}, "need": {"needs": ("p400",)}}.get(
        change, {}
    )
    work = {f"{n}.yaml": None if change == "remove" else service(n, **more)}
    if change == "clash":
        work = one("x.yaml", "x", 77)
    if change == "resolve":
        return calls(lambda: linker.resolved(f"https://example.com/p{n}.git"))
    return calls(lambda: linker.update("c2", work))


@pytest.mark.parametrize("change", ["mend", "break", "need", "remove", "clash", "resolve"])
def test_change_costs_the_same_among_many_as_among_few(change):
    few, many = cost(fleet(1000), change), cost(fleet(4000), change)
    assert many <= few * 1.2
    assert many < 1500


def test_failing_neighbours_cost_a_healthy_project_nothing():
    few, many = fleet(1000), fleet(1000)
    broken = {f"{n}.yaml": file(project(f"{n}.yaml", f"p{n}", {"prod": 1}, problem="it is broken")) for n in range(500)}
    many.update("c2", broken)
    assert len(many.snapshot.problems) == 500
    assert cost(many, "mend") <= cost(few, "mend") * 1.2


@pytest.mark.parametrize("what", ["one port", "one name", "a ring", "a star", "a broken workspace"])
def test_what_is_wrong_with_all_of_them_at_once_costs_in_proportion(what):
    def work(size: int) -> int:
        linker = Linker(revision, {})
        files = dict(hostile(what, n, size) for n in range(size))
        found = calls(lambda: linker.update("c1", files))
        assert len(linker.snapshot.problems) >= size - 1
        again = calls(lambda: linker.update("c2", dict([hostile(what, 7, size)])))
        assert again <= found * 1.5
        return found

    assert work(1200) <= work(600) * 2.4


def hostile(what: str, n: int, size: int) -> tuple[str, FileDraft]:
    needs = {"a ring": (f"p{(n + 1) % size}",), "a star": (f"p{n}" for n in range(1, size)) if not n else ("p0",)}
    name, port = "same" if what == "one name" else f"p{n}", 8080 if what == "one port" else n + 1
    draft = project(f"{n}", name, {"prod": port}, needs=tuple(needs.get(what, ())))
    if what == "a broken workspace" and n == 0:
        return f"{n}", file(document(f"{n}", "Workspace", "other"))
    return f"{n}", file(draft)


# --- the mapping that makes it so ---


def test_published_mapping_never_changes():
    ledger: Ledger[int, int] = Ledger()
    versions = []
    for n in range(3 * MOST):
        ledger[n % (MOST + 50)] = n
        if n % 7 == 0:
            ledger.discard(n // 2)
        if n % 100 == 0:
            versions.append((ledger.published(), dict(ledger)))
    for version, then in versions:
        assert version == then
        assert (len(version), sorted(version)) == (len(then), sorted(then))
        assert all(version.get(each) == then.get(each) for each in range(3 * MOST))
        assert all((each in version) is (each in then) for each in range(3 * MOST))


def test_version_of_a_mapping_costs_what_changed():
    ledger: Ledger[int, int] = Ledger()
    for n in range(10 * MOST):
        ledger[n] = n
    first = ledger.published()
    ledger[5] = 0
    ledger.discard(6)
    second = ledger.published()
    assert (first[5], second[5], first.get(6), second.get(6), len(second)) == (5, 0, 6, None, len(first) - 1)
    assert second._base is first._base
    with pytest.raises(KeyError):
        second[6]
