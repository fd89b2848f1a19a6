"""The axes of a search space: everything that may vary from block to block.

To add one, give `nas.architecture.specification.SpectrumPoint` or ``Block`` a field and list it
here: the keys of the file, the parameters that are drawn, the checks and the names of arms follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, cast

from pydantic import Field, TypeAdapter

from nas.architecture.specification import (
    PLAIN_VALUES,
    Activation,
    ArchitectureError,
    Block,
    Order,
    Segments,
    SpectrumPoint,
    segment_count,
)
from nas.space.block_frame import BlockFrame
from nas.space.value_types import Channels, Choices, SegmentChoices, SegmentRange

Choice = str | int | bool


@dataclass(frozen=True)
class Misfit:
    """A choice that a block cannot have.

    Attributes:
        message: what is wrong with it, up to the name of the block.
        position: in the list of choices; None where the axis as a whole is meant.
    """

    message: str
    hint: str
    position: int | None = None


@dataclass(frozen=True)
class AxisSpec:
    """Something that may vary from block to block.

    Attributes:
        name: the key in a file, the last part of its parameters' names, and the field that it sets.
        choices: pydantic type of what a file may say. A list is drawn by name, a `SegmentRange` by
            its counts on a logarithmic scale.
        sets: whose field it sets. That field's default is chosen where no file names the axis.
        costs: whether a choice may cost more MACs or parameters than another.
        words: a choice as names of arms have it; by default ``kernel 5``, ``no residual``.
        misfits: the choices that a block cannot have, whatever else is chosen.
        values: its valid values, where its type does not tell them.
    """

    name: str
    choices: Any
    sets: type[SpectrumPoint | Block] = SpectrumPoint
    costs: bool = True
    words: Callable[[Choice], str] | None = None
    misfits: Callable[[Any, BlockFrame], Iterator[Misfit]] | None = None
    values: str = ""

    @property
    def default(self) -> Choice:
        """What is chosen where a file does not name the axis."""
        (field,) = (field for field in fields(self.sets) if field.name == self.name)
        return cast("Choice", field.default)

    @property
    def valid_values(self) -> str:
        """What a file may say, in words separated by commas."""
        if self.values:
            return self.values
        item = TypeAdapter(self.choices).json_schema()["items"]
        if item["type"] == "boolean":
            return "true, false"
        if "enum" in item:
            return ", ".join(map(str, item["enum"]))
        return f"{item['minimum']} to {item['maximum']}"

    def has_effect(self, order: str) -> bool:
        """Whether it is drawn in this order: a plain convolution has nothing to segment."""
        return order != "plain" or self.name not in PLAIN_VALUES

    def of(self, block: Block) -> Choice:
        """What a block has."""
        owner = block.point if self.sets is SpectrumPoint else block
        return cast("Choice", getattr(owner, self.name))

    def in_words(self, choice: Choice) -> str:
        """A choice in words: ``C/4``, ``no residual``, ``kernel 5``."""
        if self.words is not None:
            return self.words(choice)
        name = self.name.replace("_", " ")
        if isinstance(choice, bool):
            return name if choice else f"no {name}"
        return f"{name} {choice}"


def _spaced(choice: Choice) -> str:
    return str(choice).replace("_", " ")


def _activation(choice: Choice) -> str:
    return "no activation" if choice == "none" else str(choice)


def _segment_misfits(
    choices: SegmentRange | Sequence[Segments], frame: BlockFrame
) -> Iterator[Misfit]:
    narrowest = frame.narrowest
    if isinstance(choices, SegmentRange):
        last = choices.first if choices.last == "C" else choices.last
        if last > narrowest:
            hint = "end the range with C, one segment per channel"
            yield Misfit(f"{last} is more than the {narrowest} channels", hint)
        return
    for position, choice in enumerate(choices):
        try:
            segment_count(choice, narrowest)
        except ArchitectureError:
            shown = choice if isinstance(choice, int) else f"a segment of {choice[2:]} channels"
            yield Misfit(
                f"{shown} is more than the {narrowest} channels",
                f"use a count up to {narrowest}, or a width such as C/{min(4, narrowest)}",
                position,
            )


def _group_misfits(choices: Sequence[int], frame: BlockFrame) -> Iterator[Misfit]:
    fewest = min(frame.in_channels, *frame.channels)
    for position, choice in enumerate(choices):
        if choice > fewest:
            message = f"{choice} is more than the {fewest} channels"
            yield Misfit(message, f"use a count up to {fewest}", position)


def _dilation_misfits(choices: Sequence[int], frame: BlockFrame) -> Iterator[Misfit]:
    largest = max(choices)
    if frame.stride > 1 and frame.downsample != "max_pool" and largest > 1:
        yield Misfit(
            f"dilation {largest} with stride {frame.stride} in the convolutions",
            "dilate blocks that have stride 1 or downsample: max_pool",
        )


_UP_TO_64 = Annotated[int, Field(ge=1, le=64)]

AXES = {
    axis.name: axis
    for axis in (
        AxisSpec("order", Choices[Order], words=_spaced),
        AxisSpec(
            "segments",
            SegmentChoices,
            words=str,
            misfits=_segment_misfits,
            values="a count, C/n (n channels in each segment), C (one channel in each), 1..C",
        ),
        AxisSpec("activation", Choices[Activation], costs=False, words=_activation),
        AxisSpec("residual", Choices[bool], sets=Block),
        AxisSpec("kernel", Choices[Literal[3, 5, 7]]),
        AxisSpec("multiplier", Choices[_UP_TO_64]),
        AxisSpec("dilation", Choices[_UP_TO_64], costs=False, misfits=_dilation_misfits),
        AxisSpec("pointwise_groups", Choices[Channels], misfits=_group_misfits),
    )
}
"""All axes by name, as they are drawn: the order of the two steps first, for whether others have an
effect depends on it."""
