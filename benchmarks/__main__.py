"""Runs every benchmark and prints one table: what was measured, the figure it has to reach, and whether it does.

A benchmark is a module of this package with ``NAME`` and ``run(quick: bool) -> Iterable[Row]``. Absolute times depend on the
machine; ratios within one run do not.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

import benchmarks
from benchmarks.rows import render


def main() -> int:
    """Run what was asked for; exit code 1 when a figure is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description="measure ProdSprint on this machine")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a figure is missed")
    parser.add_argument("names", nargs="*", help="only these benchmarks")
    args = parser.parse_args()
    known = sorted(
        one.name
        for one in pkgutil.iter_modules(benchmarks.__path__)
        if one.name not in {"__main__", "canary_world", "fleet", "fleet_kinds", "playground", "rows"}
    )
    unknown = set(args.names) - set(known)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    missed = 0
    for name in args.names or known:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"\n{module.NAME}", flush=True)
        rows = list(module.run(quick=args.quick))
        print(render(rows), flush=True)
        missed += sum(1 for row in rows if row.reached is False)
    print(f"\n{missed} figures missed" if missed else "\nevery figure reached")
    return 1 if missed and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
