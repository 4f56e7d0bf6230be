"""One Project document with the layers of defaults around it: what it asks for, or what is wrong with it, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from reconciler.manifest import blocks
from reconciler.manifest.kinds import metric_sources, routers, target_names
from reconciler.manifest.layers import Layers, Written
from reconciler.manifest.load import Document
from reconciler.manifest.marks import Path
from reconciler.manifest.models import Project
from reconciler.manifest.models.project import BUILT_IN_TARGET
from reconciler.manifest.problem import Code, Place, Problem, meant, quoted
from reconciler.manifest.records import Need, Wish
from reconciler.manifest.stack import Surroundings, components, workspace_of
from reconciler.manifest.translate import Spot, translate
from reconciler.manifest.whole import incomplete
from reconciler.manifest.wishes import Specs, needs, wishes

_ENVIRONMENTS, _COMPONENTS = "environments", "components"


class Asked(NamedTuple):
    """What a Project document asks for. Nothing, when there are problems, or when it is ``held`` by somebody else's."""

    wishes: tuple[Wish, ...] = ()
    needs: tuple[Need, ...] = ()
    uses: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    held: str = ""


def read_project(document: Document, layers: Layers) -> Asked:
    """What a document of the kind Project, which is a mapping, asks for."""
    return _Reading(document, layers).asked()


class _Reading:
    def __init__(self, document: Document, layers: Layers) -> None:
        self.document = document
        self.value: Mapping[str, object] = document.value if isinstance(document.value, dict) else {}
        self.layers = layers
        self.workspace = workspace_of(self.value)
        items = self.value.get(_ENVIRONMENTS)
        self.environments = items if isinstance(items, list) else []
        self.around = {
            index: Surroundings(document, index, layers)
            for index, item in enumerate(self.environments)
            if isinstance(item, dict)
        }
        self.parts = components(document)
        self.specs: Specs = {}
        self.elsewhere: set[Place] = set()
        """Where other documents have what is wrong here."""

    def asked(self) -> Asked:
        targets = [around.target for around in self.around.values() if around.target]
        held = self.layers.held(self.workspace) or next((target.held for target in targets if target.held), "")
        project, problems = self._project()
        problems += self._homeless() if not self.environments and not held else ()
        problems += self._misplaced()
        for around in self.around.values():
            problems += self._target(around) if not held else ()
        problems += self._unknown(project) if project else ()
        if problems or held or project is None or self.document.first:
            return Asked(problems=tuple(dict.fromkeys(problems)), held=held)
        uses = dict.fromkeys(around.name for around in self.around.values() if around.target)
        return Asked(tuple(wishes(project, self.around, self.specs)), tuple(needs(project, self.document)), tuple(uses))

    # --- checks ---

    def _project(self) -> tuple[Project | None, list[Problem]]:
        """The document as its model, with the layers around each environment in it."""
        whole = blocks.without_blocks(self.value)
        last = len(self.environments) - 1
        if self.around:
            whole[_ENVIRONMENTS] = [
                blocks.without_blocks(self.around[index].whole(last=index == last)) if index in self.around else item
                for index, item in enumerate(self.environments)
            ]
        parts = self.value.get(_COMPONENTS)
        if isinstance(parts, list):
            whole[_COMPONENTS] = [blocks.without_blocks(item) if isinstance(item, dict) else item for item in parts]
        lacking = list(incomplete(self.value))
        try:
            project, errors = Project.model_validate(whole), lacking
        except ValidationError as error:
            project, errors = None, [*error.errors(include_url=False), *lacking]
        return project, self._blamed(translate(errors, "Project", (), self._spot))

    def _spot(self, path: Path) -> Spot:
        match path:
            case ("environments", int(index), *rest) if index in self.around:
                return self._noted(self.around[index].spot(tuple(rest)))
            case _:
                return self.document, path

    def _noted(self, spot: Spot) -> Spot:
        """Remember a spot that lies in another document."""
        document, path = spot
        if document is not self.document:
            self.elsewhere |= {
                document.place(path),
                document.place(path, key=True),
                document.place(path[:-1], key=True),
            }
        return spot

    def _blamed(self, problems: Iterable[Problem]) -> list[Problem]:
        """Problems, those that lie in another document with the name of this one."""
        return [self._named(one) if one.place in self.elsewhere else one for one in problems]

    def _named(self, one: Problem) -> Problem:
        name = f"{self.workspace}/{self.value.get('name')}"
        return Problem(one.place, one.code, f"{one.message} (as a default of the project {quoted(name)})", one.hint)

    def _misplaced(self) -> Iterator[Problem]:
        """Blocks of targets that are none, or that nobody uses."""
        document, kinds = self.document, [around.kind for around in self.around.values()]
        known = all(kinds) and len(kinds) == len(self.environments) > 0
        for base, value in (((), self.value), *((part.base, part.value) for part in self.parts)):
            yield from blocks.no_mappings(document, base, value)
            if known:
                yield from blocks.unused(document, base, value, kinds, "no environment has the target {kind}")
        for around in self.around.values():
            own = around.own
            yield from blocks.no_mappings(document, own.base, own.value)
            if around.name:
                kind = around.kind or around.name
                why = "the target of this environment is {used}"
                yield from blocks.unused(document, own.base, own.value, [kind], why)

    def _homeless(self) -> Iterator[Problem]:
        """What its block lacks while there is no environment yet in which it could be seen."""
        defaults = self.layers.defaults(self.workspace)
        stack = [Written(self.document, (), self.value, "project"), *([defaults] if defaults else [])]
        kind = next((layer.value["target"] for layer in stack if "target" in layer.value), BUILT_IN_TARGET)
        if self.parts or kind not in target_names():
            return
        try:
            blocks.validated(str(kind), stack)
        except ValidationError as error:
            yield from translate(error.errors(), "Project", (str(kind),), lambda path: (self.document, (kind, *path)))

    def _target(self, around: Surroundings) -> Iterator[Problem]:
        """Validate the blocks of an environment."""
        if not around.kind:
            yield from self._no_target(around)
            return
        for number, part in enumerate(self.parts or (None,)):
            stack = around.of(part)
            try:
                self.specs[around.index, number] = blocks.validated(around.kind, stack)
            except ValidationError as error:
                yield from self._blamed(self._block(error, around, part))

    def _block(self, error: ValidationError, around: Surroundings, part: Written | None) -> Iterator[Problem]:
        def locate(path: Path) -> Spot:
            return self._noted(around.spot((around.kind, *path), part))

        return translate(error.errors(), "Project", (around.kind,), locate)

    def _no_target(self, around: Surroundings) -> list[Problem]:
        if not around.name:
            return []  # its model says that it has to be a text
        document, path = self._noted(around.spot(("target",)))
        found = f"`target`: there is no {quoted(around.name)}"
        hint = meant(around.name, {*target_names(), *self.layers.targets(self.workspace)})
        return self._blamed([Problem(document.place(path), Code.UNKNOWN_ADAPTER, found, hint)])

    def _unknown(self, project: Project) -> list[Problem]:
        """Names of adapters that do not exist."""
        problems = []
        for index, environment in enumerate(project.environments):
            for path, name, known in (
                (("router",), environment.router, routers()),
                (("analysis", "source"), environment.analysis.source, metric_sources()),
            ):
                if name not in known:
                    document, where = self._noted(self.around[index].spot(path))
                    found = f"{quoted(path[-1])}: there is no {quoted(name)}"
                    problems.append(Problem(document.place(where), Code.UNKNOWN_ADAPTER, found, meant(name, known)))
        return self._blamed(problems)
