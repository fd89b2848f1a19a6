"""Published networks that a search is compared with: trained after it, at the cost of its front."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from nas.architecture.matching import MatchError
from nas.space import SearchSpace
from nas.space.published import reference_network, with_macs
from nas.space.schema import SpaceFile
from nas.study.design import Arm, design_seeds
from nas.study.trial_record import TrialRecord

TOLERANCE = 0.01
"""How far the MACs of a reference may be from the front's median, relative."""


def reference_arms(
    space: SearchSpace,
    front: Sequence[TrialRecord],
    kept: Sequence[Arm],
    say: Callable[[str], None],
) -> Iterator[Arm]:
    """Each reference with widths that cost what the median point of the front costs.

    Args:
        kept: that have been trained before; they stay as they are.
        say: gets a line about each that cannot have that cost.
    """
    known = {arm.name: arm for arm in kept}
    if not front:
        return
    macs = median(trial.macs for trial in front)
    for name in space.file.references or ():
        if name in known:
            yield known[name]
            continue
        try:
            network = with_macs(reference_network(space, name), macs, TOLERANCE)
        except MatchError as error:
            say(f"note: there is no reference {name} at the front's median cost: {error}")
        else:
            yield Arm(name, network, "published")


def reference_seeds(file: SpaceFile) -> tuple[int, ...]:
    """Those that the front is confirmed with; without a confirmation as many as a trial has."""
    fresh = file.fresh_seeds
    stage, count = ("confirmation", fresh) if fresh else ("references", file.study.seeds_per_trial)
    return design_seeds(file.name, file.study.seed, stage, count)
