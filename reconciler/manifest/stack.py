"""An environment with the layers around it: what they say together, and which of them says a field.

From near to far: environment, component (its block alone), project, named Target (its block alone), workspace, built-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from reconciler.core.desired import StrategyKind
from reconciler.manifest.kinds import target_names
from reconciler.manifest.layers import Layers, Written, merged, owner
from reconciler.manifest.load import Document
from reconciler.manifest.marks import Path
from reconciler.manifest.models import DEFAULT_WORKSPACE, Layer
from reconciler.manifest.models.project import BUILT_IN_TARGET
from reconciler.manifest.translate import Spot

LAYER_FIELDS = frozenset(str(field.alias) for field in Layer.model_fields.values())
"""Fields that a layer may hold, besides the blocks of targets."""
_RELEASE = "release"
_BAKES = (("maxBake",), ("bake",), ("steps",))
"""Fields of ``release`` of which one may not fit another."""


def workspace_of(value: Mapping[str, object]) -> str:
    """The workspace of a document, as it is written."""
    return str(value.get("workspace", DEFAULT_WORKSPACE))


def components(document: Document) -> list[Written]:
    """The components of a project document that are mappings."""
    items = document.value.get("components") if isinstance(document.value, dict) else None
    return [
        Written(document, ("components", index), item, "component")
        for index, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, dict)
    ]


class Surroundings:
    """One environment of a project document. Whatever is written there, nothing here raises."""

    def __init__(self, document: Document, index: int, layers: Layers) -> None:
        """The value of ``document`` is a mapping with a list of environments, of which this is one, and a mapping too."""
        project: Any = document.value
        workspace = workspace_of(project)
        self.index = index
        self.own = Written(document, ("environments", index), project["environments"][index], "environment")
        self.project = Written(document, (), project, "project")
        self._defaults = layers.defaults(workspace)
        plain = (self.own, self.project, *((self._defaults,) if self._defaults else ()))
        said = next((layer.value["target"] for layer in plain if "target" in layer.value), BUILT_IN_TARGET)
        self.name = said if isinstance(said, str) else ""
        """The target as it is written: a kind, or a Target; empty when that is no text."""
        self.target = None if self.name in target_names() else layers.target(workspace, self.name)
        """The Target that it names, if it does."""
        self.kind = self.target.kind if self.target else self.name if self.name in target_names() else ""
        """Kind of its target; empty when that is not known."""
        self.stack = plain
        """All layers, the nearest first."""
        if self.target and self.target.layer:
            self.stack = (*plain[:2], self.target.layer, *plain[2:])

    def of(self, component: Written | None) -> tuple[Written, ...]:
        """The layers of one component of the project."""
        return (self.own, component, *self.stack[1:]) if component else self.stack

    def whole(self, *, last: bool) -> Mapping[str, object]:
        """The environment with what the layers behind it say, without blocks of targets; ``last`` of its project?"""
        far = self._far
        if not far:
            return self.own.value
        whole = merged(far, self.own.value)
        release = whole.get(_RELEASE)
        if isinstance(release, dict) and "steps" in release and self._steps_do_not_count(release, last=last):
            whole[_RELEASE] = {name: value for name, value in release.items() if name != "steps"}
        return whole

    @cached_property
    def _far(self) -> Mapping[str, object]:
        said = self._defaults.value if self._defaults else {}
        project = self.project.value
        far = {name: said[name] for name in said.keys() & LAYER_FIELDS}
        near = {name: project[name] for name in project.keys() & LAYER_FIELDS}
        return merged(far, near) if far and near else far or near

    def _steps_do_not_count(self, release: Mapping[str, object], *, last: bool) -> bool:
        """Steps that stand further away than the strategy only say how a canary goes, not that there is to be one."""
        steps = owner(self.stack, (_RELEASE, "steps"))
        if "strategy" not in release:
            return steps is not self.own and not last
        if release["strategy"] != StrategyKind.ALL_AT_ONCE:
            return False
        said = owner(self.stack, (_RELEASE, "strategy"))
        return said is not steps and next(layer for layer in self.stack if layer in {said, steps}) is said

    def spot(self, path: Path, component: Written | None = None) -> Spot:
        """Where a field of the environment is written, in whatever layer that is; an absent one: where it is missing."""
        stack = self.of(component)
        if path and path[0] not in LAYER_FIELDS and path[0] not in target_names():
            stack = (self.own,)
        layer = owner(stack, path)
        if layer is None:
            stack = tuple(one for one in stack if one.document is self.own.document)
            around = (owner(stack, path[:length]) for length in range(len(path) - 1, 0, -1))
            layer = next((one for one in around if one), self.own)
        elif layer is self._defaults and path[:1] == (_RELEASE,) and path[1:] in _BAKES:
            layer, path = self._nearest_bake()  # what does not fit the default, not the default
        return layer.document, (*layer.base, *path)

    def _nearest_bake(self) -> tuple[Written, Path]:
        said = [(layer, (_RELEASE, *bake)) for bake in _BAKES if (layer := owner(self.stack, (_RELEASE, *bake)))]
        return min(said, key=lambda one: self.stack.index(one[0]))
