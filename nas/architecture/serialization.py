"""Frozen dataclasses to canonical JSON and back, with every name and type checked on the way in.

Canonical: sorted keys, no spaces, fields that have their default value left out. So the same value
always gives the same text, and a field added later, with a default, changes no text and no hash.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from typing import Any, Literal, TypeVar, get_args, get_origin

from trials.bounded_json import shortened

T = TypeVar("T")

MAX_LENGTH = 2**20
"""Of a text; a network of a thousand blocks is less."""


class FormatError(ValueError):
    """Plain data that is not the wanted dataclass; the message begins with the place in it."""


def dump(plain: object) -> str:
    """Canonical JSON of plain data."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _shown(value: object) -> str:
    """A value in a message, however large it is."""
    return shortened(repr(value))


def to_plain(value: Any) -> Any:  # noqa: ANN401  # walks data of any shape
    """Dataclasses to dictionaries without the fields that have their default value."""
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    return {
        field.name: to_plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    }


def from_plain(cls: type[T], plain: object, path: str) -> T:
    """The inverse of `to_plain`.

    Raises:
        FormatError: an unknown or missing field, or a value of the wrong type.
    """
    if not isinstance(plain, dict):
        raise FormatError(f"{path}: expected an object; got {_shown(plain)}")
    hints = _hints(typing.cast("Any", cls))
    unknown = [name for name in plain if name not in hints]
    if unknown:
        raise FormatError(f"{path}: unknown field {_shown(unknown[0])}")
    missing = [
        field.name
        for field in dataclasses.fields(typing.cast("Any", cls))
        if field.default is dataclasses.MISSING and field.name not in plain
    ]
    if missing:
        raise FormatError(f"{path}: {missing[0]} is missing")
    return cls(**{name: _typed(hints[name], plain[name], f"{path}.{name}") for name in plain})


@functools.cache
def _hints(cls: type[object]) -> dict[str, Any]:
    """A class's fields with their types, which Python compiles anew at each call."""
    return typing.get_type_hints(cls)


def _typed(hint: Any, value: object, path: str) -> object:  # noqa: ANN401  # a type form
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast("type[object]", hint), value, path)
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(args[0], item, f"{path}[{index}]") for index, item in enumerate(value))
    if origin is Literal:
        if value not in args:
            raise FormatError(f"{path}: one of {', '.join(map(str, args))}; got {_shown(value)}")
        return value
    if hint is float and type(value) is int:
        return float(value)
    allowed = args if origin is types.UnionType else (hint,)
    if type(value) not in allowed:
        expected = " or ".join(kind.__name__ for kind in allowed if hasattr(kind, "__name__"))
        raise FormatError(f"{path}: expected {expected}; got {_shown(value)}")
    return value
