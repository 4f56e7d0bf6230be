"""``prodsprint rollback``: back to the certified release before the one that serves."""

from __future__ import annotations

from prodsprint.v1 import RollbackRequest

from reconciler.cli.release import Verb

SUMMARY = "go back to the last certified release"
EXAMPLES = """example:
  prodsprint rollback checkout/prod --reason "checkout is down since 14:02"

In the middle of a rollout this is 'release abort'. What is left is quarantined: git may go on naming it, it is not rolled
out again. Exit code 3: there is nothing to go back to."""
_VERB = Verb("rollback", SUMMARY, RollbackRequest)
add_arguments = _VERB.add_arguments
run = _VERB.run
