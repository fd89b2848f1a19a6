"""How much of the accuracy each choice of a search explains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL

from nas.architecture.specification import Architecture, ArchitectureError, Block, Segments
from nas.study.design import BESIDE
from nas.study.fanova import explained_shares
from nas.study.storage import opened_study
from nas.study.trial_rows import read_trials, trial_ids

REPEATS = 20
"""Resamples of the trials, each with a forest of its own."""

MOST_TRIALS = 200
"""That a forest is made of: with more of them the shares change by less than their intervals."""

_TREES = 64


@dataclass(frozen=True)
class Importance:
    """Of one parameter.

    Attributes:
        share: of the accuracy's variance that it explains.
        lower: of a 95% interval, which holds the share.
        upper: of the same interval.
        trials: that it was found in, and how many are complete; the others were not drawn.
    """

    parameter: str
    share: float
    lower: float
    upper: float
    trials: tuple[int, int] = (0, 0)


def parameter_importances(url: str | URL, name: str) -> tuple[Importance, ...]:
    """The importances of a study's choices; controls, which say nothing of them, left out.

    Of many trials some are drawn at random, the same ones each time.

    Raises:
        NoStudy: there is none of this name.
    """
    with opened_study(url, name) as study:
        complete = sorted(trial_ids(study, [TrialState.COMPLETE]))
        drawn = complete
        if len(complete) > MOST_TRIALS:
            rng = np.random.default_rng(0)
            drawn = rng.choice(complete, MOST_TRIALS, replace=False).tolist()
        trials = read_trials(study, drawn)
    kept = [t for t in trials if t.user_attrs.get("role") not in BESIDE]
    counts = (len(drawn), len(complete))
    return tuple(replace(found, trials=counts) for found in importances_of(kept))


def importances_of(complete: Sequence[FrozenTrial]) -> tuple[Importance, ...]:
    """Share of the accuracy's variance that each parameter explains (fANOVA, Hutter 2014).

    Of parameters that all of these trials have; the largest first. None where there is nothing to
    explain. Choices of segments that give the same network are one. The interval is that of the
    trials drawn again with replacement, each time with a forest of another seed; where the share
    itself is outside of that, the interval is made longer, up to the share.
    """
    if len({trial.values[0] for trial in complete}) < 2:
        return ()
    trials = list(_with_same_choices_merged(complete))
    common = intersection_search_space(trials)
    drawn = {name: choices for name, choices in common.items() if not choices.single()}
    alone = tuple(Importance(name, 0.0, 0.0, 0.0) for name in common if name not in drawn)
    if not drawn:
        return alone
    shares = _shares(trials, drawn, _TREES, seed=0)
    again = np.array([_shares(t, drawn, n, seed) for t, n, seed in _resampled(trials)])
    lower, upper = np.quantile(again, (0.025, 0.975), axis=0)
    found = [
        Importance(parameter, share, min(share, low), max(share, high))
        for parameter, share, low, high in zip(
            drawn, shares.tolist(), lower.tolist(), upper.tolist(), strict=True
        )
    ]
    return (*sorted(found, key=lambda importance: -importance.share), *alone)


def _resampled(trials: Sequence[FrozenTrial]) -> Iterator[tuple[list[FrozenTrial], int, int]]:
    """`REPEATS` resamples, with the trees and the seed of a forest for each."""
    rng = np.random.default_rng(0)
    trees = min(max(4, 800 // len(trials)), 16)  # a larger forest of many trials takes seconds
    for seed in range(1, REPEATS + 1):
        chosen: list[FrozenTrial] = []
        while len({trial.values[0] for trial in chosen}) < 2:  # there is nothing to explain
            chosen = [trials[place] for place in rng.integers(len(trials), size=len(trials))]
        yield chosen, trees, seed


def _shares(
    trials: Sequence[FrozenTrial],
    drawn: Mapping[str, BaseDistribution],
    trees: int,
    seed: int,
) -> NDArray[np.float64]:
    """Of each parameter, (parameters,): they add up to one."""
    encoding = _SearchSpaceTransform(dict(drawn), transform_log=False, transform_step=False)
    inputs = np.array([encoding.transform(trial.params) for trial in trials])
    values = np.array([trial.value for trial in trials])
    columns = encoding.column_to_encoded_columns
    shares = explained_shares(inputs, values, encoding.bounds, columns, trees, seed)
    total = float(shares.sum())
    normalised: NDArray[np.float64] = shares / total if total else shares
    return normalised


def _with_same_choices_merged(trials: Sequence[FrozenTrial]) -> Iterator[FrozenTrial]:
    """The trials by their first objective; of choices that make the same network, the first."""
    networks = [Architecture.from_json(trial.user_attrs["architecture"]) for trial in trials]
    names = {name: drawn for trial in trials for name, drawn in trial.distributions.items()}
    same = {
        name: _first_of_same(networks, name, drawn)
        for name, drawn in names.items()
        if name.endswith("segments") and isinstance(drawn, CategoricalDistribution)
    }
    categories = {n: CategoricalDistribution([*dict.fromkeys(s.values())]) for n, s in same.items()}
    for trial in trials:
        yield optuna.trial.create_trial(
            params={n: same[n][v] if n in same else v for n, v in trial.params.items()},
            distributions={n: categories.get(n, d) for n, d in trial.distributions.items()},
            value=trial.values[0],
        )


def _first_of_same(
    networks: Sequence[Architecture], name: str, distribution: CategoricalDistribution
) -> dict[Any, Any]:
    """Each choice with the first one that gives the same segments in all blocks it is drawn for."""
    blocks = {  # everything but the segments
        (replace(block, point=replace(block.point, segments=1)), in_channels)
        for network in networks
        for index, (block, in_channels) in enumerate(network.blocks_with_input())
        if name in ("segments", f"block{index}.segments") and block.point.order != "plain"
    }
    choices = cast("tuple[Segments, ...]", distribution.choices)
    first: dict[tuple[tuple[int, ...], ...], Any] = {}
    return {
        choice: first.setdefault(tuple(_counts(*block, choice) for block in blocks), choice)
        for choice in choices
    }


def _counts(block: Block, in_channels: int, segments: Segments) -> tuple[int, ...]:
    """Segments of each convolution; none where it is too narrow for the choice."""
    try:
        chosen = replace(block, point=replace(block.point, segments=segments))
        return tuple(chosen.segment_counts(in_channels))
    except ArchitectureError:
        return ()
