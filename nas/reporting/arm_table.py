"""The arms of a design as a table: what a search and `nas.describe` print of them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from nas.architecture.cost import count_cost
from nas.architecture.widths import deviation_from, widths_of
from nas.engine.terminal import plain_table
from nas.space import SearchSpace
from nas.space.objectives import COUNTED, OBJECTIVES
from nas.space.published import published_network
from nas.study.design import Arm
from nas.study.tuning import is_tuned


def arm_table(arms: Sequence[Arm], space: SearchSpace) -> Table:
    """Arms of a design with what they cost, and where their widths were solved how well.

    That is how far the cost is from what was asked for, and how far the widths are from the
    declared proportions. Where arms were tuned, what was best for each.
    """
    matched = space.file.matched
    by_latency = matched is not None and matched.cost not in COUNTED
    numbers = ["MACs", "parameters", "activations"]
    if by_latency:
        numbers.append(OBJECTIVES["latency_ms"].unit)
    if matched is not None:
        numbers += ["off by", "deviation"]
    texts = ("arm", "role", "tuned", "widths") if is_tuned(arms) else ("arm", "role", "widths")
    table = plain_table(texts, numbers)
    for arm in arms:
        cost = count_cost(arm.architecture)
        cells = [
            arm.name,
            arm.role,
            *([str(arm.setting)] if "tuned" in texts else []),
            ", ".join(map(str, widths_of(arm.architecture))),
            f"{cost.macs:,}",
            f"{cost.params:,}",
            f"{cost.activations:,}",
        ]
        if by_latency:
            cells.append("" if arm.latency_ms is None else f"{arm.latency_ms:.3g}")
        if matched is not None:
            spent = arm.latency_ms if by_latency else getattr(cost, matched.cost)
            cells.append("" if spent is None else f"{spent / matched.wanted - 1:+.2%}")
            is_own = arm.role != "published"
            declared = (
                space.unmatched(arm.choices) if is_own else published_network(space, arm.name)
            )
            deviation = deviation_from(declared, arm.architecture)
            cells.append(f"{deviation:.1%}")
        table.add_row(*cells)
    return table
