"""What trials that begin with slices of a shared network do not go together with."""

from __future__ import annotations

from collections.abc import Iterator

from nas.architecture.cost import count_cost
from nas.architecture.specification import Shape
from nas.space.errors import Path
from nas.space.quantities import format_count
from nas.space.schema import SpaceFile
from nas.space.search_space import SearchSpace
from nas.space.yaml_document import Document

MOST_SHARED = 500_000_000
"""Parameters of a shared network: 2 GB, and 6 GB with gradients and momentum while it is trained.
Of the orders, each of which has its own, the largest is counted."""

_PLACE: Path = ("study", "warm")


def check_warm_start(document: Document, file: SpaceFile, input_shape: Shape) -> None:
    """Nothing is judged by such trials, and all networks are slices of one at the same widths."""
    if file.study.warm is None:
        return
    if len(input_shape) != 3:
        document.add_problem(
            _PLACE, "shared is of networks of images, and these are clips", "leave it out"
        )
    if file.design is not None:
        document.add_problem(
            _PLACE,
            "the arms of a design are judged, and what is judged begins with weights of its own; "
            "shared is of a search",
            "leave it out",
        )
    if file.matched is not None:
        document.add_problem(
            _PLACE,
            f"shared is of networks at the same widths, and those of an equal {file.matched.cost} "
            "have their own",
            "bound the cost (macs: {at_most: 2M}), or leave it out",
        )
    if file.references and file.confirm == "none":
        document.add_problem(
            ("references",),
            "they are trained from scratch, and without a confirmation they are shown beside "
            "warm-started trials",
            "confirm: auto, or leave them or study.warm out",
            of_key=True,
        )
    for place, orders in _orders(file):
        if "mixture" in orders:
            document.add_problem(
                (*place, orders.index("mixture")),
                "a mixture's gate has a row for each segment, and is a slice of no shared one",
                "leave it out, or study.warm",
            )


def check_shared_size(document: Document, space: SearchSpace) -> None:
    """Dense kernels of wide blocks are far larger than those of any trial."""
    if space.file.study.warm is None:
        return
    params = max(count_cost(architecture).params for architecture in space.widest)
    if params > MOST_SHARED:
        document.add_problem(
            _PLACE,
            f"the shared network would have at least {format_count(params)} parameters, and "
            f"{format_count(MOST_SHARED)} are allowed",
            "narrower blocks or smaller kernels, or leave it out",
        )


def _orders(file: SpaceFile) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The choices of the order of the two steps, by their places."""
    yield ("search", "order"), file.search.order or ()
    for index, block in enumerate(file.network.blocks):
        yield ("network", "blocks", index, "order"), block.order or ()
