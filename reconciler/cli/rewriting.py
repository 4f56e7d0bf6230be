"""What ``fmt`` and ``migrate`` share: files in, files out, and what they say about them."""

from __future__ import annotations

import argparse
import difflib
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli import output
from reconciler.cli.client import CommandError
from reconciler.cli.exit_codes import ExitCode
from reconciler.manifest.problem import Problem

STDIN = Path("-")
MOST = 2 << 20
"""Bytes read of standard input; a manifest has fewer."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a file: its text, or problems, and then it stays as it is. ``note`` says more about it, if anything."""

    text: str
    problems: tuple[Problem, ...]
    note: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    where = "files or folders, or - for standard input (default: this folder)"
    parser.add_argument("paths", nargs="*", type=Path, default=[Path()], help=where)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 2 when a file would change")
    parser.add_argument("--diff", action="store_true", help="write nothing; print what would change")


def run(args: argparse.Namespace, verb: str, engine: Callable[[str, bytes], Change]) -> int:
    """Rewrite the files by ``engine``; ``verb`` is what was done to a file that changed ("formatted")."""
    from reconciler.cli.files import read  # noqa: PLC0415  # help must stay quick

    if STDIN in args.paths:
        return _filter(args, engine)
    found = read(args.paths)
    for path, why in found.refused.items():
        output.write(f"{path}: {why}")
    changed, failed = 0, bool(found.refused)
    for path, content in found.content.items():
        change = engine(path, content)
        if change.problems:
            output.write("\n".join(str(problem) for problem in change.problems))
            failed = True
        elif change.text.encode() != content:
            changed += 1
            _carry_out(args, Path(path), content, change, verb)
    if not changed and not failed:
        output.write(f"fine: {output.count(len(found.content), 'file')}, nothing to change")
    return _exit(args, failed=failed, changed=changed > 0)


def _carry_out(args: argparse.Namespace, path: Path, content: bytes, change: Change, verb: str) -> None:
    if args.diff:
        _show(str(path), content, change.text)
        return
    if not args.check:
        replace(path, content, change.text.encode())
    output.write(f"{'would change' if args.check else verb}: {path}{change.note}")


def _filter(args: argparse.Namespace, engine: Callable[[str, bytes], Change]) -> int:
    """Standard input to standard output. With problems nothing is printed there."""
    if len(args.paths) > 1:
        raise CommandError("- stands for standard input, and goes with no other file")
    content = sys.stdin.buffer.read(MOST)
    change = engine("<stdin>", content)
    differs = not change.problems and change.text.encode() != content
    for problem in change.problems:
        sys.stderr.write(f"{problem}\n")
    if args.diff and differs:
        _show("<stdin>", content, change.text)
    elif not (args.diff or args.check or change.problems):
        sys.stdout.flush()
        sys.stdout.buffer.write(change.text.encode())
        sys.stdout.buffer.flush()
    return _exit(args, failed=bool(change.problems), changed=differs)


def _exit(args: argparse.Namespace, *, failed: bool, changed: bool) -> int:
    if failed:
        return ExitCode.ERROR
    return ExitCode.CHANGES if args.check and changed else ExitCode.OK


def _show(name: str, content: bytes, text: str) -> None:
    before, after = content.decode("utf-8-sig").splitlines(), text.splitlines()
    if before == after:
        output.write(f"--- {name}\n+++ {name}\nonly line ends or a byte order mark differ")
    else:
        output.write("\n".join(difflib.unified_diff(before, after, name, name, lineterm="")))


def replace(path: Path, before: bytes, after: bytes) -> None:
    """Put ``after`` where ``before`` is: whole or not at all, with the same mode.

    Raises CommandError when that cannot be done: a symbolic link, no right to write, changed by somebody else meanwhile.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise CommandError(f"{path}: is a symbolic link or no file; name the file itself")
        try:
            _create(fresh, after, found)
            if path.read_bytes() != before:
                raise CommandError(f"{path}: was changed by somebody else meanwhile; run the command again")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None


def _create(path: Path, content: bytes, like: os.stat_result) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # there is no path to open: it is open
        with suppress(PermissionError):  # only root may give files away
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
        file.write(content)
        file.flush()
        os.fsync(descriptor)
