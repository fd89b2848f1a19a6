"""What trials that begin with slices of a shared network do not go together with."""

from __future__ import annotations

from collections.abc import Iterator

from nas.architecture.specification import Shape
from nas.space.errors import Path
from nas.space.schema import SpaceFile
from nas.space.yaml_document import Document

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
    for place, orders in _orders(file):
        if "mixture" in orders:
            document.add_problem(
                (*place, orders.index("mixture")),
                "a mixture's gate has a row for each segment, and is a slice of no shared one",
                "leave it out, or study.warm",
            )


def _orders(file: SpaceFile) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The choices of the order of the two steps, by their places."""
    yield ("search", "order"), file.search.order or ()
    for index, block in enumerate(file.network.blocks):
        yield ("network", "blocks", index, "order"), block.order or ()
