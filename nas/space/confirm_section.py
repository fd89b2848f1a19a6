"""What is trained again with fresh seeds: the section ``confirm`` of a space."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, WrapValidator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from nas.space.section import Section

AUTO_SEEDS = 3
"""Fresh seeds of each network that a search confirms where its file names no number."""


class ConfirmSection(Section):
    """Trains again, with seeds that nothing has seen, what is to be judged.

    Of a design ``front+ends`` takes the arms that may be the best and the ends of the spectrum, and
    ``all`` everything; of a search it is always what may be on the front. Where few images validate
    a search, each seed is judged on other ones, or all on the ``same``: see
    `nas.study.fresh_images`.
    """

    seeds: Annotated[int, Field(ge=1, le=1000)] = 5
    arms: Literal["front+ends", "all"] = "front+ends"
    splits: Literal["auto", "same"] = "auto"


def most_confirmed(trials: int) -> int:
    """How many networks a search of so many trials confirms, unless its front has more.

    With three seeds a short search trains as often again; of a long one it is little.
    """
    return min(max(1, trials // 3), 16)


_SECTION = TypeAdapter(ConfirmSection)


def _word_or_section(value: object, _handler: ValidatorFunctionWrapHandler) -> object:
    """A union's own errors would name its members."""
    if value is None or value in ("auto", "none") or isinstance(value, ConfirmSection):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("confirm", "must be auto, none or a mapping such as {seeds: 3}")
    return _SECTION.validate_python(value)


Confirm = Annotated[
    ConfirmSection | Literal["auto", "none"] | None, WrapValidator(_word_or_section)
]
"""``auto`` is what a search does that says nothing; a design without a word confirms nothing."""
