"""From a file to a search space, or to everything that is wrong with the file."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from nas.architecture import ArchitectureError, segment_count
from nas.faults import Fault, InputError, Path, dotted
from nas.space.quantities import format_count
from nas.space.schema import Axes, BlockSection, SearchSection, Section, SegmentRange, SpaceFile
from nas.space.search_space import BlockFrame, SearchSpace
from nas.yaml_file import Document, override, read_yaml
from trials.data import DataError, probe

GRID_LIMIT = 1_000_000


def load_space(path: str | FilePath, overrides: Sequence[str] = ()) -> SearchSpace:
    """Read a search-space file.

    The shape of the images and the number of classes are read from the data where the file does
    not have them.

    Args:
        path: of the YAML file.
        overrides: assignments such as ``training.epochs=3``.

    Raises:
        InputError: everything that is wrong, each with its place.
    """
    return space_of(read_document(path, overrides))


def read_document(
    path: str | FilePath,
    overrides: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
) -> Document:
    """A file with assignments applied to it, not checked yet beyond being YAML.

    Args:
        path: of the YAML file.
        overrides: assignments such as ``training.epochs=3``, as given to ``--set``.
        options: assignments by the command-line option that stands for them.

    Raises:
        InputError: the file cannot be read.
    """
    document = read_yaml(FilePath(path))
    for assignment in overrides:
        override(document, assignment)
    for option, assignment in (options or {}).items():
        override(document, assignment, option)
    return document


def space_of(document: Document) -> SearchSpace:
    """The search space that a document describes.

    Raises:
        InputError: everything that is wrong with it.
    """
    sections = _valid_sections(document)
    if "network" in sections and "search" in sections:
        _check_segments(document, sections)
    if document.faults:
        raise InputError(document.faults)
    file = SpaceFile(**sections)
    try:
        shape, classes = probe(file.data.config)
    except DataError as error:
        document.fault(("data", error.field), str(error), error.hint)
        raise InputError(document.faults) from None
    space = SearchSpace(file, shape, classes)
    _check_budget(document, space)
    if document.faults:
        raise InputError(document.faults)
    return space


def _valid_sections(document: Document) -> dict[str, Any]:
    """The sections that are right by themselves; faults of the others are noted."""
    value = document.value
    if not isinstance(value, dict):
        what = "is empty" if value is None else "must be a mapping of sections"
        raise InputError([*document.faults, Fault(document.place(()), f"a search space {what}")])
    fields = SpaceFile.model_fields
    for name in value:
        if name not in fields:
            document.fault((name,), "unknown key", _similar(name, list(fields)), of_key=True)
    valid = {}
    for name, field in fields.items():
        if name not in value:
            if field.is_required():
                document.fault((), f"{name} is missing", _required_hint(field.annotation))
            else:
                valid[name] = field.get_default()
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        try:
            valid[name] = adapter.validate_python(_tuples(value[name]))
        except ValidationError as error:
            details = error.errors(include_url=False)
            for detail in details:
                if not _repeats(detail, details):
                    _note(document, name, detail)
            if name == "search":
                # What is right in it can still be checked against the network.
                faulty = {detail["loc"][0] for detail in details if detail["loc"]}
                rest = {k: v for k, v in value[name].items() if k not in faulty}
                valid[name] = SearchSection.model_validate(_tuples(rest))
    return valid


def _tuples(value: Any) -> Any:  # noqa: ANN401  # walks data of any shape
    """Lists as tuples, which frozen and strict models want."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


def _repeats(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """A list is called too short after its faulty items have been left out."""
    inside = [d for d in details if d["loc"][: len(detail["loc"])] == detail["loc"]]
    return detail["type"] == "too_short" and len(inside) > 1


def _note(document: Document, section: str, detail: ErrorDetails) -> None:
    path: Path = (section, *detail["loc"])
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    if isinstance(path[-1], int) and path not in document.values:
        path = path[:-1]  # a single value stands for a list of one
    if kind == "extra_forbidden":
        document.fault(path, "unknown key", _similar(str(path[-1]), _keys_at(path[:-1])), True)
    elif kind == "missing" and isinstance(given, tuple):
        document.fault(path, f"the list is too short; got {len(given)} items")
    elif kind == "missing":
        document.fault(path[:-1], f"{path[-1]} is missing", of_key=True)
    elif kind == "value_error":
        document.fault(path, message)
    else:
        message = message.replace("Input should", "must").replace("Tuple should", "a list must")
        shown = (
            "a mapping"
            if isinstance(given, dict)
            else "a list"
            if isinstance(given, tuple)
            else "nothing"
            if given is None
            else repr(given)
        )
        document.fault(path, f"{message}; got {shown}")


def _similar(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"


def _keys_at(path: Path) -> list[str]:
    """Keys that the section at a path may have."""
    model: Any = SpaceFile
    for part in path:
        if isinstance(part, int):
            continue
        model = _model_in(model.model_fields[part].annotation)
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel]:  # noqa: ANN401  # a type form
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in typing.get_args(annotation):
        try:
            return _model_in(inner)
        except TypeError:
            continue
    raise TypeError(f"no model in {annotation}")


def _required_hint(annotation: Any) -> str:  # noqa: ANN401  # a type form
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return f"a section with {', '.join(annotation.model_fields)}"
    return ""


def _check_segments(document: Document, sections: dict[str, Any]) -> None:
    """Every choice has to exist in every convolution that it may be drawn for."""
    search: SearchSection = sections["search"]
    noted: set[Path] = set()
    width = sections["network"].stem.channels[-1]
    for index, section in enumerate(sections["network"].blocks):
        if search.scope == "network":
            for axis in Axes.AXES:
                if getattr(section, axis) is not None:
                    document.fault(
                        ("network", "blocks", index, axis),
                        "search.scope is network, which draws each axis once for all blocks",
                        "leave it out here, or use scope: block",
                        of_key=True,
                    )
        for _ in range(section.repeat):
            channels = section.convolution_channels
            frame = BlockFrame(width, channels, section.stride, section.downsample)
            _check_block(document, index, section, search, frame, noted)
            width = channels[-1]


def _check_block(
    document: Document,
    index: int,
    section: BlockSection,
    search: SearchSection,
    frame: BlockFrame,
    noted: set[Path],
) -> None:
    name = dotted(("blocks", index))

    def axis(axis: str) -> tuple[Path, Any]:
        own = getattr(section, axis)
        place: Path = ("network", "blocks", index, axis) if own is not None else ("search", axis)
        return place, own if own is not None else getattr(search, axis)

    def note(path: Path, message: str, hint: str) -> None:
        if path not in noted:
            noted.add(path)
            document.fault(path, message, hint)

    orders = axis("order")[1] or ("spatial_first",)
    narrowest = frame.narrowest(orders)
    path, segments = axis("segments")
    if isinstance(segments, SegmentRange):
        last = segments.first if segments.last == "C" else segments.last
        if last > narrowest:
            note(
                path,
                f"{last} is more than the {narrowest} channels of {name}",
                "end the range with C, one segment per channel",
            )
    for position, choice in enumerate(() if isinstance(segments, SegmentRange) else segments or ()):
        try:
            if set(orders) != {"plain"}:
                segment_count(choice, narrowest)
        except ArchitectureError:
            shown = choice if isinstance(choice, int) else f"a segment of {choice[2:]} channels"
            note(
                _item(document, path, position),
                f"{shown} is more than the {narrowest} channels of {name}",
                f"use a count up to {narrowest}, or a width such as C/{min(4, narrowest)}",
            )
    path, groups = axis("pointwise_groups")
    fewest = min(frame.in_channels, *frame.channels)
    for position, choice in enumerate(groups or ()):
        if choice > fewest:
            note(
                _item(document, path, position),
                f"{choice} is more than the {fewest} channels of {name}",
                f"use a count up to {fewest}",
            )
    path, dilations = axis("dilation")
    if frame.stride > 1 and frame.downsample == "convolution" and max(dilations or (1,)) > 1:
        note(
            path,
            f"dilation {max(dilations)} with stride {frame.stride} in the convolutions of {name}",
            "dilate blocks that have stride 1 or downsample: max_pool",
        )


def _item(document: Document, path: Path, position: int) -> Path:
    """The path of a choice; that of the whole axis where it is written as a single value."""
    item = (*path, position)
    return item if item in document.values else path


def _check_budget(document: Document, space: SearchSpace) -> None:
    if space.file.study.sampler == "grid" and space.size > GRID_LIMIT:
        document.fault(
            ("study", "sampler"),
            f"grid tries every architecture, and there are {format_count(space.size)}",
            "use tpe or random",
        )
    budget = space.file.macs
    if budget is None:
        return
    if budget.at_most is not None:
        cheapest, _ = space.macs_range
        if cheapest > budget.at_most:
            document.fault(
                ("macs", "at_most"),
                f"{format_count(budget.at_most)} is less than the cheapest architecture costs, "
                f"{format_count(cheapest)} ({cheapest:,} MACs)",
                "allow more, or use fewer channels",
            )
        return
    try:
        space.sample(seed=0)
    except ArchitectureError as error:
        document.fault(("macs", "match"), str(error), "another cost, or a larger tolerance")


__all__ = ["load_space", "space_of"]
