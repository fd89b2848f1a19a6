"""What a design that is a race needs: arms of equal cost at both ends and between them."""

from __future__ import annotations

from nas.architecture.position import is_end, position
from nas.architecture.specification import ArchitectureError
from nas.space.schema import SpaceFile
from nas.space.search_space import SearchSpace
from nas.space.yaml_document import Document

_PLACE = ("design", "method")


def check_race(document: Document, file: SpaceFile) -> None:
    """Sections that do not go together with a race."""
    if file.design is None or not file.design.is_race:
        return
    if file.matched is None:
        document.add_problem(
            _PLACE,
            "a race compares arms of equal cost, and nothing makes their costs equal",
            "add match: {macs: 2M}",
        )
    if file.confirm is not None:
        document.add_problem(
            ("confirm",),
            "a race judges as it goes, on the fresh seeds of each look",
            "leave it out, or method: fixed",
            of_key=True,
        )


def check_arms_of_race(document: Document, space: SearchSpace) -> None:
    """Both ends of the spectrum have to be there, and something between them."""
    if space.file.design is None or not space.file.design.is_race:
        return
    networks = [n for _, n in space.architectures if not isinstance(n, ArchitectureError)]
    ends = [position(network) for network in networks if is_end(network)]
    for missing, what in (
        (len(ends) == len(networks), "point between the ends"),
        (all(place > 0 for place in ends), "regular end"),
        (all(place <= 0 for place in ends), "depthwise end"),
    ):
        if missing:
            document.add_problem(
                _PLACE,
                f"a race needs both ends of the spectrum and a point between: there is no {what}",
                "segments: [1, C/4, C], for example",
            )
