"""The probability of each arm of being on the front, by the seeds of either stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from nas.analysis.question import Question
from nas.statistics.front_bootstrap import FrontBootstrap, Label, bootstrap_front
from nas.statistics.pareto import reference_point


@dataclass(frozen=True)
class ArmFront:
    """The front of some arms, as it varies with their seeds.

    Attributes:
        costs: of the arms; all equal where the study matched them.
        bootstrap: its arrays are in the order of the arms.
    """

    arms: tuple[str, ...]
    costs: tuple[tuple[float, ...], ...]
    bootstrap: FrontBootstrap

    def place(self, arm: str) -> tuple[float, Label] | None:
        """P(on the front) of an arm and its label; None where it is not among these."""
        if arm not in self.arms:
            return None
        index = self.arms.index(arm)
        return float(self.bootstrap.probabilities[index]), self.bootstrap.labels[index]

    def volume_interval(self, alpha: float) -> tuple[float, float]:
        """Interval of the hypervolume, as a share of the box up to the most expensive arm."""
        box = prod(reference_point(self.costs)[1:])
        low, high = self.bootstrap.volume_interval(alpha)
        return low / box, high / box


def confirmed_front(question: Question) -> ArmFront | None:
    """The confirmed arms' front by the confirmation seeds; None where no noise is known."""
    trainings = question.results.of_stage("confirmation", others=False)
    return _front(question, trainings.accuracies())


def screened_front(question: Question, confirmed: ArmFront | None) -> ArmFront | None:
    """The front by the screening seeds, which all arms of a design have.

    Trials of a search have their own, mostly one; their noise is that of the confirmation.
    """
    if question.results.is_design:
        return _front(question, question.screened)
    if confirmed is None or not confirmed.bootstrap.noise:
        return None
    return _front(question, question.screened, confirmed.bootstrap.noise)


def _front(
    question: Question, table: Mapping[str, Sequence[float]], noise: float | None = None
) -> ArmFront | None:
    arms = tuple(table)
    if not arms or (noise is None and len(table[arms[0]]) < 2):
        return None
    matched = question.results.file.matched is not None
    costs = tuple((1.0,) if matched else question.costs(name) for name in arms)
    found = bootstrap_front([table[n] for n in arms], costs, reference_point(costs), noise=noise)
    return ArmFront(arms, costs, found)
