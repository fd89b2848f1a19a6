"""Whether the published networks of a file exist for its images, and go with its other sections."""

from __future__ import annotations

from nas.architecture.matching import MatchError
from nas.architecture.presets import PresetError
from nas.architecture.specification import ArchitectureError
from nas.space.errors import Path
from nas.space.published import published_arm, reference_network
from nas.space.schema import SpaceFile
from nas.space.search_space import SearchSpace
from nas.space.yaml_document import Document

_ARMS: Path = ("design", "arms")
_SMALLER = "larger images (data: {resize: ...}), or leave it out"


def check_published(document: Document, file: SpaceFile) -> None:
    """Sections that do not go together with published networks."""
    if file.design is not None and file.design.arms and file.claim.ablate:
        document.add_problem(
            _ARMS,
            "an ablation compares arms that differ in one choice alone; these differ in more",
            "leave them out, or ask in a design of its own",
        )
    if file.design is not None and file.references:
        document.add_problem(
            ("references",),
            "a search is shown beside them; published networks of a design are arms",
            "design: {arms: [...]}",
            of_key=True,
        )


def check_names_of_published(document: Document, space: SearchSpace) -> None:
    """An arm is known by its name: of two the trainings could not be told apart."""
    names = set(map(space.name_of, space.combinations()))
    design = space.file.design
    for position, text in enumerate((design.arms or ()) if design else ()):
        if text in names:
            message = f"the space has an arm {text} already"
            document.add_problem(_item(document, _ARMS, position), message, "leave it out here")


def check_published_networks(document: Document, space: SearchSpace) -> None:
    """Each of them has to exist for these images, and to have the matched cost as an arm."""
    design = space.file.design
    for position, text in enumerate((design.arms or ()) if design else ()):
        place = _item(document, _ARMS, position)
        try:
            for at_budget in space.budgets:
                published_arm(at_budget, text)
        except MatchError as error:
            document.add_problem(place, f"{text}: {error}", "another cost, or leave it out")
        except ArchitectureError as error:
            document.add_problem(place, str(error), _SMALLER)
    for position, text in enumerate(space.file.references or ()):
        try:
            reference_network(space, text)
        except ArchitectureError as error:
            hint = error.hint if isinstance(error, PresetError) else _SMALLER
            document.add_problem(_item(document, ("references",), position), str(error), hint)


def _item(document: Document, path: Path, position: int) -> Path:
    """The place of one of a list, which a single one may stand for."""
    item = (*path, position)
    return item if item in document.values else path
