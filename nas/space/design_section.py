"""The section ``design`` of a search-space file: a planned experiment in place of a search."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from nas.space.published_names import Published
from nas.space.section import Section
from nas.space.value_types import Choices

LOOKS = (4, 8, 12, 16, 24, 32, 48)
"""Seeds of an arm that is trained up to each look of a race."""

MAX_LOOKS = 20

Seeds = Annotated[int, Field(ge=1, le=1000)]


class DesignSection(Section):
    """Every architecture of the space is an arm, and trained with the same seeds as the others.

    With ``method: fixed`` all arms have ``seeds``; a section ``confirm`` trains the best of them
    again. With ``method: race`` the best interior arms and the ends are trained on, look after
    look, until the claim is decided: see `nas.statistics.race`. With ``controls`` arms are added
    whose outcome is known. Arms that are alike are named; with ``duplicates: refuse`` they are an
    error. With ``arms`` published networks are trained beside those of the space.
    """

    method: Literal["fixed", "race"] = "fixed"
    seeds: Seeds | None = None
    looks: Annotated[tuple[Seeds, ...], Field(min_length=1, max_length=MAX_LOOKS)] | None = None
    controls: bool = False
    duplicates: Literal["merge", "refuse"] = "merge"
    arms: Choices[Published] | None = None

    @field_validator("looks")
    @classmethod
    def _increasing(cls, looks: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if looks and (looks[0] < 2 or any(a >= b for a, b in pairwise(looks))):
            shown = ", ".join(map(str, looks))
            raise ValueError(f"looks are seeds so far, from 2 on, and increase; got {shown}")
        return looks

    @model_validator(mode="after")
    def _of_one_method(self) -> Self:
        if self.is_race and self.seeds is not None:
            raise ValueError("a race has looks in place of seeds")
        if not self.is_race and self.looks is not None:
            raise ValueError("looks are of a race: add method: race")
        if not self.is_race and self.seeds is None:
            raise ValueError("seeds is missing")
        return self

    @property
    def is_race(self) -> bool:
        """Whether arms are trained on until the claim is decided."""
        return self.method == "race"

    @property
    def seeds_of_looks(self) -> tuple[int, ...]:
        """Seeds of an arm that is trained up to each look; a fixed design has one look."""
        return (self.looks or LOOKS) if self.is_race else (self.seeds or 1,)
