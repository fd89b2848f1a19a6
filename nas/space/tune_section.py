"""The part of a file that says what is tuned for each arm of a design: ``tune``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from nas.architecture.modules import Activation
from nas.space.quantities import in_multiples, parse_multiple
from nas.space.section import Section
from nas.space.value_types import distinct, listed

T = TypeVar("T")


def _several(tried: tuple[T, ...]) -> tuple[T, ...]:
    if len(distinct(tried)) < 2:
        raise ValueError("expected at least two to choose from; got one")
    return tried


_Multiple = Annotated[float, BeforeValidator(parse_multiple), PlainSerializer(in_multiples)]
_Multiples = Annotated[
    tuple[_Multiple, ...], Field(max_length=20), BeforeValidator(listed), AfterValidator(_several)
]


class TuneSection(Section):
    """What is tried for each arm, on seeds of its own, before the arms are compared.

    Every combination of what the axes list is trained with every seed, and the arm has the best.

    Attributes:
        learning_rate: multiples of the recipe's.
        weight_decay: multiples of the recipe's.
        activation: between the two steps of a convolution.
        seeds: trainings of each combination.
    """

    learning_rate: _Multiples | None = None
    weight_decay: _Multiples | None = None
    activation: (
        Annotated[tuple[Activation, ...], BeforeValidator(listed), AfterValidator(_several)] | None
    ) = None
    seeds: Annotated[int, Field(ge=1, le=1000)] = 2

    @model_validator(mode="after")
    def _some_axis(self) -> TuneSection:
        if not (self.learning_rate or self.weight_decay or self.activation):
            raise ValueError("expected learning_rate, weight_decay or activation; got none of them")
        return self

    def in_words(self) -> Iterator[str]:
        """Each axis with what is tried: ``learning rate 0.5x, 1x, 2x``."""
        for name in ("learning_rate", "weight_decay"):
            if multiples := getattr(self, name):
                yield f"{name.replace('_', ' ')} {', '.join(map(in_multiples, multiples))}"
        if self.activation:
            yield f"activation {', '.join(self.activation)}"
