"""Types of single values in a search-space file: pydantic checks and converts them.

Converted are counts such as ``2M``, percentages, and single values where a list is expected.
"""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from nas.architecture.specification import (
    MAX_CHANNELS,
    MAX_STRIDE,
    ArchitectureError,
    Segments,
    parse_segments,
)
from nas.space.quantities import parse_count, parse_fraction

LONGEST_NAME = 64

T = TypeVar("T")


@dataclass(frozen=True)
class SegmentRange:
    """``1..C`` or ``2..16``: every count from the first to the last; ``C`` is one per channel."""

    first: int
    last: int | Literal["C"]

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"

    def counts(self, channels: int) -> tuple[Segments, ...]:
        """All of them, where ``channels`` is the fewest that are segmented."""
        if self.last == "C":
            return (*range(self.first, channels), "C")
        return tuple(range(self.first, self.last + 1))


def listed(value: object) -> object:
    """One value is a list of one."""
    return value if isinstance(value, tuple) else (value,)


def square(value: object) -> object:
    """One length is that of both sides."""
    return value if isinstance(value, tuple) else (value, value)


def distinct(choices: tuple[T, ...]) -> tuple[T, ...]:
    """At least one choice, none of them twice."""
    if not choices:
        raise ValueError("expected at least one choice; got none")
    (choice, times), *_ = Counter(choices).most_common(1)
    if times > 1:
        raise ValueError(f"a choice is listed {times} times: {choice}")
    return choices


def _named(name: str) -> str:
    if len(name) > LONGEST_NAME or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"a name has at most {LONGEST_NAME} letters, digits, . _ and -, and begins with a "
            f"letter or digit; got {reprlib.repr(name)}"
        )
    return name


def _segments(value: object) -> Segments:
    try:
        return parse_segments(str(value))
    except ArchitectureError as error:
        raise ValueError(str(error)) from None


def _segment_range(
    value: object, handler: ValidatorFunctionWrapHandler
) -> SegmentRange | tuple[Segments, ...]:
    """``1..C``, or a list as the type says."""
    if not (isinstance(value, str) and ".." in value):
        choices: tuple[Segments, ...] = handler(listed(value))
        return choices
    first, _, last = value.partition("..")
    bounds = [part for part in (first, last) if part != "C"]
    if first == "C" or not all(part.isdecimal() and len(part) <= 6 for part in bounds):
        raise ValueError(f"a range is written 1..C or 2..16; got {value!r}")
    if int(first) < 1 or (last != "C" and int(last) < int(first)):
        raise ValueError(f"a range goes up from 1 or more; got {value!r}")
    return SegmentRange(int(first), "C" if last == "C" else int(last))


def _as_written(segments: object) -> object:
    return str(segments) if isinstance(segments, SegmentRange) else segments


Channels = Annotated[int, Field(ge=1, le=MAX_CHANNELS)]
Stride = Annotated[int, Field(ge=1, le=MAX_STRIDE)]
Count = Annotated[int, BeforeValidator(parse_count)]
Fraction = Annotated[float, BeforeValidator(parse_fraction)]
NonNegative = Annotated[float, Field(ge=0, le=1e6)]
Milliseconds = Annotated[float, Field(gt=0, le=1e6)]
Name = Annotated[str, AfterValidator(_named)]
Widths = Annotated[
    tuple[Channels, ...], Field(min_length=1, max_length=64), BeforeValidator(listed)
]
Choices = Annotated[tuple[T, ...], BeforeValidator(listed), AfterValidator(distinct)]
SegmentChoices = Annotated[
    tuple[Annotated[int | str, BeforeValidator(_segments)], ...],
    AfterValidator(distinct),
    WrapValidator(_segment_range),
    PlainSerializer(_as_written),
]
