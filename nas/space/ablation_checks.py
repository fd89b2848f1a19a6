"""What a design that is an ablation needs: arms that differ in one choice alone."""

from __future__ import annotations

from nas.architecture.specification import ArchitectureError
from nas.space.ablation import ablation_groups
from nas.space.errors import Path
from nas.space.schema import SpaceFile
from nas.space.search_space import SearchSpace
from nas.space.yaml_document import Document

_PLACE = ("claim", "ablate")


def check_ablation(document: Document, file: SpaceFile) -> None:
    """Sections that do not go together with an ablation."""
    if not file.claim.ablate:
        return
    if file.design is None:
        document.add_problem(
            _PLACE,
            "the arms of a design are compared, and there is no design",
            "add design: {seeds: 8}, or leave it out",
        )
    elif file.design.is_race:
        document.add_problem(
            ("design", "method"),
            "a race is about the ends of the spectrum, and claim.ablate compares other choices",
            "design: {seeds: 8}",
        )
    if file.confirm is not None:
        document.add_problem(
            ("confirm",),
            "an ablation is judged by all its seeds, none of which choose",
            "leave it out",
            of_key=True,
        )
    if file.tune is not None and file.tune.activation:
        document.add_problem(
            ("tune", "activation"),
            "what an ablation compares differs in one choice alone, and this is another",
            "leave it out, or tune the learning rate",
        )


def check_ablated_arms(document: Document, space: SearchSpace) -> None:
    """Each axis has two choices, in arms that differ in nothing else."""
    if space.file.design is None or not space.file.claim.ablate:
        return
    networks = {
        space.name_of(combination): network
        for combination, network in space.architectures
        if not isinstance(network, ArchitectureError)
    }
    for position, axis in enumerate(space.file.claim.ablate):
        if not ablation_groups(networks, axis):
            item: Path = (*_PLACE, position)
            document.add_problem(
                item if item in document.values else _PLACE,
                f"no arms differ in {axis} alone, in all blocks alike",
                f"search: {{scope: network, {axis}: [...]}}, with two choices at least",
            )
