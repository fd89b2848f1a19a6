"""JSON from a disk or a database, which anything may have written: read within bounds, or refused.

Python's own reader takes a file of any size, brackets of any depth, the last of two values under
one name, and ``1e999`` for infinity.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

MAX_BYTES = 2**24
"""Of a text, unless more is said; a curve of a hundred thousand epochs is less."""

MAX_DEPTH = 32
"""Of brackets in brackets."""

_MAX_INTEGER = 2**63
_MAX_DIGITS = len(str(-_MAX_INTEGER))
# Also a text that never ends is one match, for a search goes on behind it, not inside.
_NO_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[^"\[\]{}]+', re.DOTALL)


class JsonError(ValueError):
    """A text is not the JSON that was expected; one line, the rule first."""


def shortened(value: object, most: int = 60) -> str:
    """A value for a message, however large it is."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text[: 2 * most].split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def parse_json(
    text: object,
    finite: bool = True,
    most: int = MAX_BYTES,
) -> Any:  # noqa: ANN401  # plain data
    """Plain data of a JSON text.

    Args:
        text: anything else is refused.
        finite: refuse ``NaN`` and ``Infinity``, which JSON does not have and Python writes.
        most: characters that it may have.

    Raises:
        JsonError: it is too large or too deep, has a name twice, or is not JSON.
    """
    if not isinstance(text, str):
        raise JsonError(f"expected JSON as text; got {shortened(text)}")
    if len(text) > most:
        raise JsonError(f"JSON has at most {most:,} characters; got {len(text):,}")
    _check_depth(text)
    try:
        return (_FINITE if finite else _ANY).decode(text)
    except JsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonError(f"not JSON: {error}; got {shortened(text)!r}") from None


def read_json(file: Path, parse: Callable[[str], T] = parse_json, most: int = MAX_BYTES) -> T:
    """What a file has.

    Args:
        parse: of the text.
        most: bytes that it may have; not more of it is read.

    Raises:
        JsonError: it is too large, is not text in UTF-8, or `parse` refuses it.
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        known = os.fstat(opened.fileno()).st_size  # 0 of what is no file, however much it has
        content = b"" if known > most else opened.read(most + 1)
    if max(known, len(content)) > most:
        raise JsonError(f"a file of JSON has at most {most:,} bytes; got more")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise JsonError(f"not text in UTF-8: {error.reason} at byte {error.start}") from None
    return parse(text)


def validated(
    adapter: TypeAdapter[T],
    text: object,
    strict: bool | None = None,
    finite: bool = True,
    most: int = MAX_BYTES,
) -> T:
    """A value of a type, from JSON.

    Args:
        strict: convert nothing, such as ``"1"`` to a number.
        finite, most: as of `parse_json`.

    Raises:
        JsonError: it is not JSON within bounds, or not of the type.
    """
    from pydantic import ValidationError  # workers, too, read a small file at times

    parse_json(text, finite, most)
    try:
        return adapter.validate_json(str(text), strict=strict)
    except ValidationError as error:
        raise JsonError(in_a_line(error)) from None
    except (ValueError, RecursionError, OverflowError) as error:  # of what the type is made by
        raise JsonError(shortened(str(error), 200)) from None


def in_a_line(error: Any) -> str:  # noqa: ANN401  # pydantic's, which is not loaded for this alone
    """The first thing that pydantic found wrong: place, rule and value."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    rule = first["msg"][:1].lower() + first["msg"][1:]
    said = f"{rule}; got {shortened(first['input'])}"
    return f"{place}: {said}" if place else said


def _check_depth(text: str) -> None:
    if text[:1] == '"' or text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _NO_BRACKETS.sub("", text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise JsonError(f"JSON has brackets nested at most {MAX_DEPTH} deep; got more")


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS or not -_MAX_INTEGER <= (number := int(text)) < _MAX_INTEGER:
        raise JsonError(f"a whole number has at most 64 bits; got {shortened(text)}")
    return number


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise JsonError(f"a number is finite; got {shortened(text)}")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise JsonError(f"a number is finite; got {text}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise JsonError(f"a name stands once in an object; got {shortened(name)!r} twice")
            seen.add(name)
    return found


_FINITE = json.JSONDecoder(
    parse_int=_integer,
    parse_float=_number,
    parse_constant=_refuse_constant,
    object_pairs_hook=_object,
)
_ANY = json.JSONDecoder(parse_int=_integer, object_pairs_hook=_object)
