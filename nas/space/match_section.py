"""The part of a file that says which cost all architectures have: ``match``."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, model_validator

from nas.space.quantities import parse_count, parse_fraction
from nas.space.section import Section
from nas.space.value_types import Count, Fraction, Milliseconds

_WITHIN = "within "


def _count_or_part(value: object) -> object:
    """A count, or ``within 20%`` of what the others have."""
    if isinstance(value, str) and value.startswith(_WITHIN):
        parse_fraction(value.removeprefix(_WITHIN))
        return value
    return parse_count(value)


class MatchSection(Section):
    """A cost that the widths of every architecture are solved for: exactly one of the three.

    Where it is the MACs, the parameters may be held ``within 20%`` of what is usual among the arms.
    """

    COSTS: ClassVar = ("macs", "params", "latency_ms")
    macs: Count | None = None
    params: Annotated[int | str, BeforeValidator(_count_or_part)] | None = None
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
    def wanted(self) -> float:
        """How much of it."""
        wanted: float = getattr(self, self.cost)
        return wanted

    @property
    def params_within(self) -> float | None:
        """How far the parameters of an arm may be from the median of all, relative."""
        if not isinstance(self.params, str):
            return None
        return parse_fraction(self.params.removeprefix(_WITHIN))
