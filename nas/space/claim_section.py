"""The section ``claim`` of a search-space file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nas.space.section import Section
from nas.space.value_types import Choices, Fraction

JudgedOn = Literal["validation", "test", "half"]
"""Images that a claim is judged on: all that validate, the test split, or half of the former."""

Ablated = Literal["residual", "activation", "order"]
"""Axes whose choices can be compared with each other: Figures 9 and 10 of the paper, and the order
that it leaves open."""

IN_WORDS: dict[JudgedOn, str] = {
    "validation": "the validation images, which also chose",
    "test": "the test split, which chose nothing",
    "half": "half of the validation images, which chose nothing",
}


class ClaimSection(Section):
    """What is claimed: the best interior point beats the best end by more than ``delta``.

    ``on`` says on which images. With ``half`` nothing but what judges reads one half of the
    validation images, and everything else the other. With ``ablate`` nothing is claimed of the
    spectrum: of each of these axes every choice is compared with the one that leaves it out.
    """

    delta: Annotated[Fraction, Field(le=0.2)] = 0.005
    alpha: Annotated[Fraction, Field(lt=0.5)] = 0.05
    on: JudgedOn = "validation"
    ablate: Choices[Ablated] | None = None
