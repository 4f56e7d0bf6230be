"""The way out of "not signed" that docs/trust.md names, with real git and a real key."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from config_desk import Desk, key
from signing import SshKey, Work, lacking

from reconciler.config_repos import ConfigRepo, Rewrite, Trust

PAGE = Path(__file__).parents[2] / "docs" / "trust.md"


@pytest.mark.skipif(bool(lacking("git", "ssh-keygen")), reason=lacking("git", "ssh-keygen"))
def test_commits_that_are_not_signed_are_taken_once_they_were_signed_anew_from_the_commit_in_force(tmp_path):
    ann, work = SshKey(tmp_path, "ann"), Work(tmp_path / "work")
    (tmp_path / "signers").write_text(f"ann@example.org {ann.public}\n")
    bare = tmp_path / "config.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    desk = Desk(tmp_path)
    desk.configs = (
        ConfigRepo(str(bare), trust=Trust.SIGNED, allowed_signers=tmp_path / "signers", on_rewrite=Rewrite.HOLD),
    )
    desk.restart()
    manifest = work.path / "a.prodsprint.yaml"
    manifest.write_text(desk.project("a", 8000))
    signed = work.commit(ann)
    work.run("remote", "add", "origin", str(bare))
    work.run("push", "-q", "-u", "origin", "main")
    desk.look()
    manifest.write_text(desk.project("a", 8001))
    work.commit()
    work.commit(ann)
    work.run("push", "-q")
    desk.look()
    assert desk.snapshot.desired[key("a")].port == 8000
    assert "docs/trust.md" in desk.catalog.away()
    (command,) = re.findall(
        r"^git (rebase --rebase-merges --exec '(.*)') COMMIT_IN_FORCE$", PAGE.read_text(), re.MULTILINE
    )
    work.run(*ann.options(), "rebase", "-q", "--rebase-merges", "--exec", command[1], signed)
    work.run("push", "-q", "--force-with-lease")
    desk.look()
    assert desk.snapshot.desired[key("a")].port == 8001
    assert desk.catalog.away() == ""
    said = f"commit {work.head()[:12]} is in force, signed by ann@example.org"
    assert desk.events()[-1] == ("config.applied", said)
    desk.close()
