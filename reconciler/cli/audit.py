"""``prodsprint audit …``: prove that nobody changed what was recorded."""

from __future__ import annotations

import argparse

from prodsprint.v1 import ChainReport, VerifyAuditRequest

from reconciler.cli import output
from reconciler.cli.client import add_connection, connect
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "prove that nobody changed what was recorded"


class _Verify:
    NAME = "verify"
    SUMMARY = "recompute every hash of the audit chains and say where one does not fit"

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Define the command line."""
        output.add_format(parser)
        add_connection(parser)

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Print a line a workspace; exit code 1 when a chain is broken."""
        with connect(args) as client:
            chains = client.call(client.status.VerifyAudit, VerifyAuditRequest()).chains
        output.show(args.output, chains, _row, lambda one: one.workspace, empty="nothing has been recorded yet")
        return ExitCode.ERROR if any(one.fault for one in chains) else ExitCode.OK


VERBS = (_Verify,)


def _row(chain: ChainReport) -> output.Row:
    return {
        "workspace": chain.workspace,
        "entries": str(chain.entries),
        "head": chain.head[:16],
        "chain": chain.fault or "whole",
    }
