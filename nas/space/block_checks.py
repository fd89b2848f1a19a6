"""Whether every choice exists in every convolution that it may be drawn for."""

from __future__ import annotations

from collections.abc import Iterator

from nas.architecture.specification import ArchitectureError, Shape, require_dims
from nas.space.axes import AXES, Misfit
from nas.space.block_frame import BlockFrame
from nas.space.errors import Path, dotted
from nas.space.schema import BlockSection, NetworkSection, SearchSection, SpaceFile
from nas.space.yaml_document import Document
from trials.data.sources import CLIPS


def check_blocks(document: Document, network: NetworkSection, search: SearchSection) -> None:
    """Note the choices that some block cannot have, each once: for the first such block."""
    noted: set[Path] = set()
    width = network.stem.channels[-1]
    for index, section in enumerate(network.blocks):
        if search.scope == "network":
            _refuse_own_axes(document, index, section)
        for _ in range(min(2, section.repeat)):  # a third copy gets what the second one does
            frame = section.frame(width, search)
            for axis_path, misfit in _misfits(index, section, search, frame):
                path = _item(document, axis_path, misfit.position)
                if path not in noted:
                    noted.add(path)
                    message = f"{misfit.message} of {dotted(('blocks', index))}"
                    document.add_problem(path, message, misfit.hint)
            width = frame.channels[-1]


def check_dims(document: Document, file: SpaceFile, input_shape: Shape) -> None:
    """Note dimensions that the data does not have, and orders that have no meaning for it."""
    dims, shape = len(input_shape) - 1, " x ".join(map(str, input_shape))
    found = f"clips of {shape} (channels, frames, height, width)"
    if dims == 2:
        found = f"images of {shape} (channels, height, width)"
    if file.network.dims not in (None, dims):
        hint = CLIPS if dims == 2 else "say 3"
        message = f"{file.network.dims} dimensions, and the data has {found}"
        document.add_problem(("network", "dims"), message, hint)
        return
    places: list[tuple[Path, BlockSection | SearchSection]] = [(("search",), file.search)]
    places += [(("network", "blocks", i), block) for i, block in enumerate(file.network.blocks)]
    for path, section in places:
        for position, order in enumerate(section.order or ()):
            try:
                require_dims(order, dims)
            except ArchitectureError as error:
                document.add_problem(_item(document, (*path, "order"), position), str(error))


def _refuse_own_axes(document: Document, index: int, section: BlockSection) -> None:
    for axis in AXES:
        if getattr(section, axis) is not None:
            document.add_problem(
                ("network", "blocks", index, axis),
                "search.scope is network, which draws each axis once for all blocks",
                "leave it out here, or use scope: block",
                of_key=True,
            )


def _misfits(
    index: int, section: BlockSection, search: SearchSection, frame: BlockFrame
) -> Iterator[tuple[Path, Misfit]]:
    """Choices that a block cannot have, each with the path of its axis."""
    for name, axis in AXES.items():
        path: Path = ("network", "blocks", index, name)
        choices = getattr(section, name)
        if choices is None:
            path, choices = ("search", name), getattr(search, name)
        if choices is None or axis.misfits is None or not any(map(axis.has_effect, frame.orders)):
            continue
        for misfit in axis.misfits(choices, frame):
            yield path, misfit


def _item(document: Document, path: Path, position: int | None) -> Path:
    """The path of a choice; that of the whole axis where it is written as a single value."""
    item = path if position is None else (*path, position)
    return item if item in document.values else path
