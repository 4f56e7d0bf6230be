"""What a manifest asks for one key, with everything filled in that its file does not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from operator import attrgetter

from reconciler.core.desired import Artifact, DesiredState, Key

_FIELDS = [each.name for each in fields(DesiredState)]
_values = attrgetter(*_FIELDS)
_ARTIFACT, _COMMIT, _NEEDS, _COMPONENTS = map(_FIELDS.index, ("artifact", "commit", "needs", "components"))


def asked(
    wished: DesiredState, revisions: Sequence[str], needs: tuple[Key, ...], before: DesiredState | None, commit: str
) -> DesiredState:
    """The desired state at these revisions, one a component, that begins with ``commit``.

    It is ``before`` itself when it differs from it in nothing but the commit: that is when it began.
    """
    values = list(_values(wished))  # twice as fast as dataclasses.replace, and there are many
    artifact = wished.artifact
    values[_ARTIFACT] = Artifact(artifact.source, revisions[0], artifact.version)
    values[_NEEDS] = needs
    if wished.components:
        values[_COMPONENTS] = tuple(
            replace(part, artifact=replace(part.artifact, revision=revision))
            for part, revision in zip(wished.components, revisions[1:], strict=True)
        )
    if before is not None:
        values[_COMMIT] = before.commit
        if DesiredState(*values) == before:
            return before
    values[_COMMIT] = commit
    return DesiredState(*values)
