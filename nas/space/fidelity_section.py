"""The part of a file that says how a search trains less: ``study.fidelity``."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from nas.space.section import Section


def _increasing(rungs: tuple[int, ...]) -> tuple[int, ...]:
    if len(rungs) < 2:
        raise ValueError(f"expected at least two rungs; got {len(rungs)}")
    for lower, higher in pairwise(rungs):
        if higher <= lower:
            raise ValueError(f"epochs go up from rung to rung; got {higher} after {lower}")
    return rungs


Epochs = Annotated[int, Field(ge=1, le=100_000)]


class FidelitySection(Section):
    """Successive halving: see `nas.engine.halving`.

    Attributes:
        rungs: epochs of a training at each; those of the last are the recipe's.
        reduction: of so many trials at a rung one is promoted to the next.
    """

    rungs: Annotated[tuple[Epochs, ...], Field(max_length=10), AfterValidator(_increasing)]
    reduction: Annotated[int, Field(ge=2, le=1000)] = 3
