"""From a file to a search space, or to everything that is wrong with the file."""

from __future__ import annotations

import copy
import difflib
import re
import reprlib
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from nas.architecture.specification import ArchitectureError
from nas.space.block_checks import check_blocks
from nas.space.errors import InputError, Path, Problem
from nas.space.quantities import format_count
from nas.space.schema import DataSection, SearchSection, Section, SpaceFile
from nas.space.search_space import Infeasible, SearchSpace
from nas.space.yaml_document import Document, assign, override, read_yaml
from trials.data import DataError, probe

GRID_LIMIT = 1_000_000

MAX_ARMS = 1_000
"""Of a design: beyond that a search is what is wanted."""


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
    return build_space(read_document(path, overrides))


def read_document(
    path: str | FilePath,
    overrides: Sequence[str] = (),
    options: Mapping[str, tuple[Path, object]] | None = None,
) -> Document:
    """A file with assignments applied to it, not checked yet beyond being YAML.

    Args:
        path: of the YAML file.
        overrides: assignments such as ``training.epochs=3``, as given to ``--set``.
        options: the path and the value that stand for a command-line option, by its name.

    Raises:
        InputError: the file cannot be read.
    """
    document = read_yaml(FilePath(path))
    for assignment in overrides:
        override(document, assignment)
    for option, (place, value) in (options or {}).items():
        assign(document, place, value, option)
    return document


def build_space(document: Document) -> SearchSpace:
    """The search space that a document describes.

    Raises:
        InputError: everything that is wrong with it.
    """
    sections = _valid_sections(document)
    if "network" in sections and "search" in sections:
        check_blocks(document, sections["network"], sections["search"])
    images = _probe(document, sections["data"]) if "data" in sections else None
    if document.problems or images is None:
        raise InputError(document.problems)
    space = SearchSpace.of(document, SpaceFile(**sections), *images)
    _check_plan(document, space.file)
    if document.problems:
        raise InputError(document.problems)
    if _check_images(document, space):
        _check_budget(document, space)
    if document.problems:
        raise InputError(document.problems)
    return space


def changed_space(space: SearchSpace, options: Mapping[str, tuple[Path, object]]) -> SearchSpace:
    """The same space with other values.

    Args:
        options: the path and the value that stand for an argument, by its name.

    Raises:
        InputError: everything that is wrong with it now.
    """
    document = copy.deepcopy(space.document)
    for option, (place, value) in options.items():
        assign(document, place, value, option)
    return build_space(document)


def space_file(plain: object) -> SpaceFile:
    """The file of a study, as it was kept: it has been checked before.

    Raises:
        ValueError: it is something else.
    """
    return SpaceFile.model_validate(_tuples(plain))


def _probe(document: Document, data: DataSection) -> tuple[tuple[int, int, int], int] | None:
    """Shape of the images and number of classes; None where the data cannot be read."""
    try:
        return probe(data.config)
    except DataError as error:
        document.add_problem(("data", error.field), str(error), error.hint)
        return None


def _valid_sections(document: Document) -> dict[str, Any]:
    """The sections that are right by themselves; problems of the others are noted."""
    value = document.value
    if not isinstance(value, dict):
        what = "is empty" if value is None else "must be a mapping of sections"
        raise InputError(
            [*document.problems, Problem(document.place(()), f"a search space {what}")]
        )
    fields = SpaceFile.model_fields
    for name in value:
        if name not in fields:
            document.add_problem((name,), "unknown key", _similar(name, list(fields)), of_key=True)
    valid = {}
    for name, field in fields.items():
        if name not in value:
            if field.is_required():
                document.add_problem((), f"{name} is missing", _required_hint(field.annotation))
            else:
                valid[name] = field.get_default()
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        try:
            valid[name] = adapter.validate_python(_tuples(value[name]))
        except ValidationError as error:
            details = error.errors(include_url=False)
            for detail in _without_repeats(details):
                _note(document, name, detail)
            if name == "search" and isinstance(value[name], dict):
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


def _without_repeats(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leaves out lists that are called too short once their faulty items have been left out."""
    inside = Counter(d["loc"][:depth] for d in details for depth in range(len(d["loc"]) + 1))
    return [d for d in details if d["type"] != "too_short" or inside[d["loc"]] == 1]


def _note(document: Document, section: str, detail: ErrorDetails) -> None:
    path: Path = (section, *detail["loc"])
    kind, given = detail["type"], detail["input"]
    if isinstance(path[-1], int) and path not in document.values:
        path = path[:-1]  # a single value stands for a list of one
    if kind == "extra_forbidden":
        document.add_problem(
            path, "unknown key", _similar(str(path[-1]), _keys_at(path[:-1])), True
        )
    elif kind == "missing" and isinstance(given, tuple):
        document.add_problem(path, f"the list is too short; got {len(given)} items")
    elif kind == "too_short":
        document.add_problem(
            path, f"expected at least {detail['ctx']['min_length']} item; got none"
        )
    elif kind == "too_long":
        most = detail["ctx"]["max_length"]
        document.add_problem(path, f"expected at most {most} items; got {len(given)}")
    elif kind == "missing":
        document.add_problem(path[:-1], f"{path[-1]} is missing", of_key=True)
    elif kind == "value_error":
        document.add_problem(path, detail["msg"].removeprefix("Value error, "))
    else:
        rule = _RULES.get(kind) or re.sub(r"^\w+ should", "must", detail["msg"])
        document.add_problem(path, f"{rule}; got {_shown(given)}")


_RULES = {"model_type": "must be a mapping", "tuple_type": "must be a list"}
"""In the words of YAML; pydantic's own words name Python's types and our classes."""


def _shown(given: object) -> str:
    if isinstance(given, dict | tuple):
        return "a mapping" if isinstance(given, dict) else "a list"
    return "nothing" if given is None else reprlib.repr(given)


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


def _check_images(document: Document, space: SearchSpace) -> bool:
    """Whether there is a network for these images; where not, that is a problem of the data."""
    try:
        space.first()
    except ArchitectureError as error:
        document.add_problem(("data", "shape" if space.file.data.shape else "source"), str(error))
        return False
    return True


def _check_budget(document: Document, space: SearchSpace) -> None:
    if space.file.study.sampler == "grid" and space.size > GRID_LIMIT:
        document.add_problem(
            ("study", "sampler"),
            f"grid tries every architecture, and there are {format_count(space.size)}",
            "use tpe or random",
        )
    if space.file.macs and space.file.macs.at_most:
        most, (cheapest, _) = space.file.macs.at_most, space.macs_range
        if cheapest > most:
            document.add_problem(
                ("macs", "at_most"),
                f"{format_count(most)} is less than the cheapest architecture costs, "
                f"{format_count(cheapest)} ({cheapest:,} MACs)",
                "allow more, or use fewer channels",
            )
            return
    if space.file.design is not None:
        _check_arms(document, space)
    elif space.file.matched is not None:
        try:
            space.sample(seed=0)
        except ArchitectureError as error:
            document.add_problem(_matched(space), str(error), _OTHER_COST)


_OTHER_COST = "another cost, or a larger tolerance"


def _matched(space: SearchSpace) -> Path:
    """Where the cost that is to be equal is written."""
    cost = space.file.match.cost if space.file.match else ""
    return ("match", cost) if cost else ("macs", "match")


def _check_arms(document: Document, space: SearchSpace) -> None:
    """Every arm of a design has to exist: one that is left out would be missed in the answer."""
    if space.size > MAX_ARMS:
        document.add_problem(
            ("design",),
            f"every architecture is an arm, at most {MAX_ARMS}; there are "
            f"{format_count(space.size)}",
            "fewer choices, or scope: network",
            of_key=True,
        )
        return
    for combination, found in space.architectures:
        if not isinstance(found, ArchitectureError):
            continue
        place, hint = _matched(space), _OTHER_COST
        if isinstance(found, Infeasible):
            place, hint = ("macs", "at_most"), "allow more, or leave the arm out"
        document.add_problem(place, f"the arm {space.name_of(combination)}: {found}", hint)


def _check_plan(document: Document, file: SpaceFile) -> None:
    """Sections that do not go together."""
    if file.match is not None and file.macs is not None:
        document.add_problem(
            ("match",),
            "macs bounds or matches the MACs, and match makes a cost equal: one of the two",
            "leave one out",
            of_key=True,
        )
    if file.match is not None and file.match.latency_ms and file.design is None:
        document.add_problem(
            ("match", "latency_ms"),
            "latencies can be made equal in a design only, whose arms are measured once",
            "add design: {seeds: 5}, or match macs or params",
        )
    if file.confirm is not None and file.confirm.arms == "all" and file.design is None:
        document.add_problem(
            ("confirm", "arms"),
            "all arms can be confirmed in a design only; a search has trials",
            "leave it out: the front and both ends are confirmed",
        )
    if file.design is not None:
        for key in ("trials", "sampler", "seeds_per_trial"):
            if key in file.study.model_fields_set:
                document.add_problem(
                    ("study", key),
                    "a design trains every arm with every seed, so there is nothing to say here",
                    "leave it out; design.seeds is the number of seeds",
                    of_key=True,
                )


__all__ = ["build_space", "load_space", "space_file"]
