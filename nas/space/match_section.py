"""The part of a file that says which cost all architectures have: ``match``."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    model_validator,
)

from nas.space.quantities import exact_count, parse_count, parse_fraction
from nas.space.section import Section
from nas.space.value_types import Count, Fraction, Milliseconds, distinct, listed

MOST_BUDGETS = 8

_WITHIN = "within "


def _counts_or_part(value: object) -> object:
    """Counts, or ``within 20%`` of what the others have."""
    if isinstance(value, str) and value.startswith(_WITHIN):
        parse_fraction(value.removeprefix(_WITHIN))
        return value
    return tuple(map(parse_count, value if isinstance(value, tuple) else (value,)))


def _as_written(amounts: tuple[int, ...] | str) -> object:
    """One by itself: so it was kept when there could be no more."""
    return amounts[0] if isinstance(amounts, tuple) and len(amounts) == 1 else amounts


_Several = Annotated[
    tuple[Count, ...],
    Field(max_length=MOST_BUDGETS),
    BeforeValidator(listed),
    AfterValidator(distinct),
    PlainSerializer(_as_written),
]
_SeveralOrPart = Annotated[
    Annotated[tuple[int, ...], Field(max_length=MOST_BUDGETS), AfterValidator(distinct)] | str,
    BeforeValidator(_counts_or_part),
    PlainSerializer(_as_written),
]


def name_at_budget(study: str, budget_name: str) -> str:
    """Name of the study that one budget of a study of several is."""
    return f"{study}-{budget_name}"


class MatchSection(Section):
    """A cost that the widths of every architecture are solved for: exactly one of the three.

    Of MACs or parameters there may be several budgets: a design then has all arms at each of them.
    Where it is the MACs, the parameters may be held ``within 20%`` of what is usual among the arms.
    """

    COSTS: ClassVar = ("macs", "params", "latency_ms")
    macs: _Several | None = None
    params: _SeveralOrPart | None = None
    latency_ms: Milliseconds | None = None
    tolerance: Fraction = 0.01

    @model_validator(mode="after")
    def _one_cost(self) -> MatchSection:
        if len(self._equal) != 1:
            raise ValueError(f"expected one of {', '.join(self.COSTS)}")
        if self.params_within is not None and self.macs is None:
            raise ValueError("params within a part of each other go with macs")
        return self

    @property
    def _equal(self) -> list[str]:
        costs = [cost for cost in self.COSTS if getattr(self, cost) is not None]
        return [cost for cost in costs if not isinstance(getattr(self, cost), str)]

    @property
    def cost(self) -> str:
        """Which cost is equal: ``macs``, ``params`` or ``latency_ms``."""
        return self._equal[0]

    @property
    def budgets(self) -> tuple[float, ...]:
        """How much of it: one amount, or several that are each a design of their own."""
        amounts: tuple[float, ...] | float = getattr(self, self.cost)
        return amounts if isinstance(amounts, tuple) else (amounts,)

    @property
    def budget_names(self) -> tuple[str, ...]:
        """Of several budgets, such as ``500K``; none of one."""
        return tuple(exact_count(round(b)) for b in self.budgets) if len(self.budgets) > 1 else ()

    @property
    def wanted(self) -> float:
        """How much of it.

        Raises:
            ValueError: there are several budgets, each with architectures of its own.
        """
        if len(self.budgets) > 1:
            raise ValueError("of several budgets, each has architectures: see SearchSpace.budgets")
        return self.budgets[0]

    def at(self, budget: float) -> MatchSection:
        """The same at one of its budgets."""
        return self.model_copy(update={self.cost: (budget,)})

    @property
    def params_within(self) -> float | None:
        """How far the parameters of an arm may be from the median of all, relative."""
        if not isinstance(self.params, str):
            return None
        return parse_fraction(self.params.removeprefix(_WITHIN))
