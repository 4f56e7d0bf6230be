"""Coverage-guided fuzzing: ``make fuzz``, or ``python tests/fuzz/run.py [--seconds N] [TARGET ...]``.

What is found goes to ``build/fuzz``: inputs that reached something new, and ``crashes/TARGET-crash-…``, which ``--replay FILE
TARGET`` runs again. An input worth keeping belongs into ``tests/fuzz/seeds/TARGET``: every test run tries these.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOUND = ROOT / "build" / "fuzz"
LARGEST = 4096
"""Bytes of the longest input."""


def main() -> int:
    """Fuzz one target after the other; exit with 1 when one of them failed."""
    sys.path[:0] = [str(HERE), str(ROOT)]
    parser = argparse.ArgumentParser(description="Coverage-guided fuzzing")
    parser.add_argument("targets", nargs="*", help="only these targets")
    parser.add_argument("--seconds", type=int, default=60, help="time for each target (default: 60)")
    parser.add_argument("--replay", type=Path, help="run this input once, without fuzzing")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return fuzz(args.targets[0], args.seconds)
    from targets import TARGETS

    unknown = set(args.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    names = args.targets or list(TARGETS)
    if args.replay:
        for name in names:
            TARGETS[name](args.replay.read_bytes())
        return 0
    return max(start(name, args.seconds) for name in names)


def start(name: str, seconds: int) -> int:
    """Fuzz in a process of its own: a crash of it is a finding."""
    sys.stdout.write(f"fuzzing {name} for {seconds} s\n")
    sys.stdout.flush()
    words = [sys.executable, str(HERE / "run.py"), "--inside", "--seconds", str(seconds), name]
    done = subprocess.run(words, check=False, capture_output=True, text=True, errors="replace")
    said = [line for line in done.stderr.splitlines() if "written to" in line or line.startswith("Done")]
    if done.returncode:
        said += [done.stdout, *([] if said else [done.stderr])]
    sys.stdout.write("\n".join(said) + "\n")
    return int(done.returncode != 0)


def fuzz(name: str, seconds: int) -> int:
    """Fuzz here, and never return."""
    import atheris

    with atheris.instrument_imports(include=["reconciler"]):
        from targets import TARGETS

    corpus, crashes = FOUND / "corpus" / name, FOUND / "crashes"
    corpus.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    flags = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", f"-artifact_prefix={crashes}/{name}-", "-timeout=10"]
    words = HERE / "words.txt"
    atheris.Setup(
        [sys.argv[0], *flags, f"-dict={words}", "-rss_limit_mb=1024", str(corpus), str(HERE / "seeds" / name)],
        lambda data: TARGETS[name](bytes(data)),
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
