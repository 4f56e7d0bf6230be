"""The blocks of target kinds (``process:``): the project's are defaults for the environments' own."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ValidationError

from reconciler.core.digest import canonical
from reconciler.manifest.kinds import target, target_names
from reconciler.manifest.load import Document, Path
from reconciler.manifest.problem import Code, Problem, described, meant, quoted
from reconciler.manifest.translate import translate

Mapping = dict[str, object]


class Blocks:
    """Takes the target blocks out of a project document; ``rest`` is the document without them.

    A field of an environment's block replaces the project's; mappings (``env``) are merged.
    """

    def __init__(self, document: Document, value: Mapping) -> None:
        self._document = document
        self._shared, self.rest = _divided(value)
        environments = value.get("environments")
        self._own: list[Mapping] = []
        self._targets: list[object] = []
        self._specs: dict[int, BaseModel] = {}
        if isinstance(environments, list):
            divided = [_divided(item) if isinstance(item, dict) else ({}, item) for item in environments]
            self._own = [own for own, _ in divided]
            self._targets = [item.get("target", "process") if isinstance(item, dict) else None for item in environments]
            self.rest["environments"] = [rest for _, rest in divided]

    def problems(self) -> Iterator[Problem]:
        """Whatever is wrong with the blocks, or with the choice of targets."""
        for kind, block in self._shared.items():
            yield from self._mapping((kind,), block)
            if self._targets and kind not in self._targets and all(name in target_names() for name in self._targets):
                yield self._unused((kind,), f"no environment has the target {quoted(kind)}")
        for index, name in enumerate(self._targets):
            if isinstance(name, str):
                yield from self._environment(index, name)

    def split(self, index: int) -> tuple[str, str]:
        """Spec and runtime of an environment's target, in canonical JSON. Only after ``problems`` found none.

        Fields that have their default are left out, so that a new version of the daemon with more of them starts no release.
        """
        spec, kind = self._specs[index], target(str(self._targets[index]))
        written = spec.model_dump(mode="json")
        told = {
            name: written[name]
            for name, field in type(spec).model_fields.items()
            if getattr(spec, name) != field.get_default(call_default_factory=True)
        }
        behaviour = {name: value for name, value in told.items() if name not in kind.runtime}
        return canonical(behaviour), canonical({name: told[name] for name in told.keys() & kind.runtime})

    def _environment(self, index: int, kind: str) -> Iterator[Problem]:
        base: Path = ("environments", index)
        for other, block in self._own[index].items():
            yield from self._mapping((*base, other), block)
            if other != kind:
                yield self._unused((*base, other), f"the target of this environment is {quoted(kind)}")
        if kind not in target_names():
            found = f"`target`: there is no {quoted(kind)}"
            hint = meant(kind, target_names())
            yield Problem(self._document.place((*base, "target")), Code.UNKNOWN_ADAPTER, found, hint)
            return
        shared, own = self._shared.get(kind, {}), self._own[index].get(kind, {})
        if isinstance(shared, dict) and isinstance(own, dict):
            yield from self._validated(index, kind, _merged(shared, own))

    def _validated(self, index: int, kind: str, block: Mapping) -> Iterator[Problem]:
        try:
            self._specs[index] = target(kind).spec.model_validate(block, by_alias=True, by_name=False)
        except ValidationError as error:
            own: Path = ("environments", index, kind)
            yield from translate(error, self._document, "Project", (kind,), lambda path: self._origin(own, path))

    def _origin(self, own: Path, path: Path) -> Path:
        """Where a part of a merged block is written: in the environment, else in the project."""
        marks = self._document.marks
        for length in range(len(path), -1, -1):
            for prefix in (own, own[-1:]):
                if (*prefix, *path[:length]) in marks:
                    return (*prefix, *path)
        return (*own, *path)

    def _mapping(self, path: Path, block: object) -> Iterator[Problem]:
        if not isinstance(block, dict):
            found = f"{quoted(str(path[-1]))}: expected a mapping, found {described(block)}"
            hint = "Write `key: value` lines below it, indented"
            yield Problem(self._document.place(path), Code.WRONG_TYPE, found, hint)

    def _unused(self, path: Path, why: str) -> Problem:
        found = f"{quoted(str(path[-1]))} has no effect, because {why}"
        return Problem(self._document.place(path, key=True), Code.UNUSED_BLOCK, found, "Remove it, or correct `target`")


def _divided(value: Mapping) -> tuple[Mapping, Mapping]:
    kinds = set(target_names())
    return {name: value[name] for name in value.keys() & kinds}, {n: v for n, v in value.items() if n not in kinds}


def _merged(shared: Mapping, own: Mapping) -> Mapping:
    merged = {**shared, **own}
    for name in shared.keys() & own.keys():
        ours, theirs = own[name], shared[name]
        if isinstance(ours, dict) and isinstance(theirs, dict):
            merged[name] = {**theirs, **ours}
    return merged
