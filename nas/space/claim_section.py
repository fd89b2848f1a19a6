"""The section ``claim`` of a search-space file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nas.space.section import Section
from nas.space.value_types import Fraction

JudgedOn = Literal["validation", "test", "half"]
"""Images that a claim is judged on: all that validate, the test split, or half of the former."""

IN_WORDS: dict[JudgedOn, str] = {
    "validation": "the validation images, which also chose",
    "test": "the test split, which chose nothing",
    "half": "half of the validation images, which chose nothing",
}


class ClaimSection(Section):
    """What is claimed: the best interior point beats the best end by more than ``delta``.

    ``on`` says on which images. With ``half`` nothing but what judges reads one half of the
    validation images, and everything else the other.
    """

    delta: Annotated[Fraction, Field(le=0.2)] = 0.005
    alpha: Annotated[Fraction, Field(lt=0.5)] = 0.05
    on: JudgedOn = "validation"
