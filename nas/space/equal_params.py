"""Arms of equal MACs whose parameters are near each other as well: ``params: within 20%``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from nas.architecture.cost import count_cost
from nas.architecture.matching import match_macs_and_params
from nas.architecture.specification import Architecture, ArchitectureError
from nas.space.axes import Choice
from nas.space.match_section import MatchSection

Found = tuple[dict[str, Choice], Architecture | ArchitectureError]


def with_equal_params(
    found: Sequence[Found],
    matched: MatchSection,
    unmatched: Callable[[Mapping[str, Choice]], Architecture],
) -> list[Found]:
    """The arms, those with far more or fewer parameters than the median at other widths.

    Args:
        found: arms at the widths that cost the same and are nearest to proportion.
        unmatched: an arm at the declared widths.
    """
    counts = [count_cost(a).params for _, a in found if isinstance(a, Architecture)]
    if matched.params_within is None or not counts:
        return list(found)
    middle = median(counts)
    least, most = ((1 + sign * matched.params_within) * middle for sign in (-1, 1))
    arms: list[Found] = []
    for combination, arm in found:
        if isinstance(arm, Architecture) and not least <= count_cost(arm).params <= most:
            try:
                arm = match_macs_and_params(
                    unmatched(combination), int(matched.wanted), (least, most), matched.tolerance
                )
            except ArchitectureError as error:
                arm = error
        arms.append((combination, arm))
    return arms
