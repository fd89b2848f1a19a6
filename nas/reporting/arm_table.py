"""The arms of a design as a table: what a search and `nas.describe` print of them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from nas.architecture.cost import count_cost
from nas.architecture.matching import widths_of
from nas.space.objectives import COUNTED, OBJECTIVES
from nas.space.schema import MatchSection
from nas.study.design import Arm


def arm_table(arms: Sequence[Arm], matched: MatchSection | None) -> Table:
    """Arms of a design with what they cost and how far that is from what was asked for."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("arm", "role", "widths", "MACs", "parameters"):
        table.add_column(heading, justify="right" if heading in ("MACs", "parameters") else "left")
    by_latency = matched is not None and matched.cost not in COUNTED
    for heading in (
        *([OBJECTIVES["latency_ms"].unit] if by_latency else []),
        *(["off by"] if matched else []),
    ):
        table.add_column(heading, justify="right")
    for arm in arms:
        cost = count_cost(arm.architecture)
        cells = [
            arm.name,
            arm.role,
            ", ".join(map(str, widths_of(arm.architecture))),
            f"{cost.macs:,}",
            f"{cost.params:,}",
        ]
        if by_latency:
            cells.append("" if arm.latency_ms is None else f"{arm.latency_ms:.3g}")
        if matched is not None:
            spent = arm.latency_ms if by_latency else getattr(cost, matched.cost)
            cells.append("" if spent is None else f"{spent / matched.wanted - 1:+.2%}")
        table.add_row(*cells)
    return table
