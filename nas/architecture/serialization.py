"""Frozen dataclasses to canonical JSON and back, with every name and type checked on the way in.

Canonical: sorted keys, no spaces, fields that have their default value left out. So the same value
always gives the same text, and a field added later, with a default, changes no text and no hash.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from typing import Any, Literal, TypeVar, get_args, get_origin

T = TypeVar("T")

MAX_LENGTH = 2**20
"""Of a text; a network of a thousand blocks is less. The other rules are those of all JSON that is
read (`trials/bounded_json.py`), but for depth, which the fields bound."""

_MAX_INTEGER, _MAX_SHOWN = 2**63, 80
_MAX_DIGITS = len(str(-_MAX_INTEGER))


class FormatError(ValueError):
    """Text that does not describe the wanted dataclass; the message begins with the place in it."""


def dump(plain: object) -> str:
    """Canonical JSON of plain data."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def parse(text: str) -> object:
    """Plain data of a JSON text, which anything may have written.

    Raises:
        FormatError: not JSON, too large, nested too deeply to read, or with a name twice.
    """
    if not isinstance(text, str):
        raise FormatError(f"expected JSON as text; got {_shown(text)}")
    if len(text) > MAX_LENGTH:
        raise FormatError(f"JSON has at most {MAX_LENGTH:,} characters; got {len(text):,}")
    try:
        return json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_number,
            object_pairs_hook=_object,
        )
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"not JSON: {error}") from None
    except RecursionError:
        raise FormatError("nested too deeply") from None


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS or not -_MAX_INTEGER <= (number := int(text)) < _MAX_INTEGER:
        raise FormatError(f"a whole number has at most 64 bits; got {text[:_MAX_SHOWN]}")
    return number


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise FormatError(f"a number is finite; got {text[:_MAX_SHOWN]}")
    return number


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise FormatError(f"a name stands once in an object; got {_shown(name)} twice")
            seen.add(name)
    return found


def _shown(value: object) -> str:
    """A value in a message, however large it is."""
    try:
        text = repr(value)
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


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
        hints = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(hints) != len(value):
            raise FormatError(f"{path}: expected {len(hints)} items; got {_shown(value)}")
        return tuple(
            _typed(item_hint, item, f"{path}[{index}]")
            for index, (item_hint, item) in enumerate(zip(hints, value, strict=True))
        )
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
