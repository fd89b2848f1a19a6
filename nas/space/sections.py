"""Each section by itself: checked by pydantic, whose errors are put in the words of YAML."""

from __future__ import annotations

import difflib
import re
import reprlib
import typing
from collections import Counter
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from nas.space.errors import InputError, Path, Problem
from nas.space.schema import SearchSection, SpaceFile
from nas.space.section import Section
from nas.space.yaml_document import Document


def valid_sections(document: Document, of: type[Section] = SpaceFile) -> dict[str, Any]:
    """The sections that are right by themselves; problems of the others are noted.

    Args:
        of: the whole that they are sections of.
    """
    value = document.value
    if not isinstance(value, dict):
        what = "is empty" if value is None else "must be a mapping of sections"
        raise InputError(
            [*document.problems, Problem(document.place(()), f"a search space {what}")]
        )
    fields = of.model_fields
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
            valid[name] = adapter.validate_python(as_tuples(value[name]))
        except ValidationError as error:
            details = error.errors(include_url=False)
            for detail in _without_repeats(details):
                _note(document, name, detail, of)
            if name == "search" and isinstance(value[name], dict):
                # What is right in it can still be checked against the network.
                faulty = {detail["loc"][0] for detail in details if detail["loc"]}
                rest = {k: v for k, v in value[name].items() if k not in faulty}
                valid[name] = SearchSection.model_validate(as_tuples(rest))
    return valid


def as_tuples(value: Any) -> Any:  # noqa: ANN401  # walks data of any shape
    """Lists as tuples, which frozen and strict models want."""
    if isinstance(value, list):
        return tuple(map(as_tuples, value))
    if isinstance(value, dict):
        return {key: as_tuples(item) for key, item in value.items()}
    return value


def _without_repeats(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leaves out lists that are called too short once their faulty items have been left out."""
    inside = Counter(d["loc"][:depth] for d in details for depth in range(len(d["loc"]) + 1))
    return [d for d in details if d["type"] != "too_short" or inside[d["loc"]] == 1]


def _note(document: Document, section: str, detail: ErrorDetails, of: type[Section]) -> None:
    path: Path = (section, *detail["loc"])
    kind, given = detail["type"], detail["input"]
    if isinstance(path[-1], int) and path not in document.values:
        path = path[:-1]  # a single value stands for a list of one
    if kind == "extra_forbidden":
        document.add_problem(
            path, "unknown key", _similar(str(path[-1]), _keys_at(path[:-1], of)), True
        )
    elif kind == "missing" and isinstance(given, tuple):
        document.add_problem(path, f"the list is too short; got {len(given)} items")
    elif kind == "too_short":
        least = detail["ctx"]["min_length"]
        items = "item" if least == 1 else "items"
        document.add_problem(path, f"expected at least {least} {items}; got {len(given) or 'none'}")
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
"""Problems in the words of YAML; pydantic's own name Python's types and our classes."""


def _shown(given: object) -> str:
    if isinstance(given, dict | tuple):
        return "a mapping" if isinstance(given, dict) else "a list"
    return "nothing" if given is None else reprlib.repr(given)


def _similar(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"


def _keys_at(path: Path, of: type[Section]) -> list[str]:
    """Keys that the section at a path may have."""
    model: Any = of
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
