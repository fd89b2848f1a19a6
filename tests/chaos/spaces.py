"""What is searched while harm is done: each way in which a study can be run."""

from __future__ import annotations

from dataclasses import dataclass

from tests.nas.planting import MATCHED

_SEARCH = """
name: chaos
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 8}
  blocks:
    - {channels: 8, stride: 2}
    - {channels: 12, stride: 2}
search:
  segments: 1..C
  activation: [none, relu]
  order: [spatial_first, pointwise_first]
training: {epochs: 2, batch_size: 16}
confirm: none
"""


_DESIGN = MATCHED.replace("confirm: {seeds: 8}\n", "").replace("planted", "chaos")


@dataclass(frozen=True)
class Space:
    """A space.

    Attributes:
        complete: trials that the study has in the end; None where that depends on what they give.
        has_confirmation: a second study follows.
        has_tuning: another one comes first.
    """

    text: str
    complete: int | None
    has_confirmation: bool = False
    has_tuning: bool = False


SPACES = {
    "random": Space(_SEARCH + "study: {trials: 14, sampler: random}", 14),
    "tpe": Space(_SEARCH + "study: {trials: 14, sampler: tpe}", 14),
    "seeds": Space(_SEARCH + "study: {trials: 8, sampler: random, seeds_per_trial: 3}", 8),
    "halving": Space(
        _SEARCH.replace("epochs: 2,", "epochs: 4,")
        + "study: {trials: 9, sampler: random, fidelity: {rungs: [1, 2, 4], reduction: 2}}",
        None,
    ),
    "confirmed": Space(
        _SEARCH.replace("confirm: none", "confirm: {seeds: 3}")
        + "study: {trials: 8, sampler: random}",
        8,
        True,
    ),
    "design": Space(_DESIGN, 18),
    "race": Space(_DESIGN.replace("{seeds: 3}", "{method: race, looks: [2, 4, 5]}"), None),
    "tuned": Space(
        _DESIGN + "tune: {learning_rate: [1x, 2x], activation: [none, relu], seeds: 1}\n",
        18,
        has_tuning=True,
    ),
}

_LARGE = _SEARCH.replace("search:\n", "    - {channels: 16}\nsearch:\n")
LONG_SPACES = {
    "1,000 trials": Space(_LARGE + "study: {trials: 1000, sampler: random}", 1000),
    "200 trials": Space(_LARGE + "study: {trials: 200, sampler: tpe}", 200),
}
ON_RAY_SPACES = ["random", "tpe", "seeds", "halving"]
"""Of which none has a training that fails."""
