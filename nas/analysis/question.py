"""The question put to a study: its results, and the claim that they are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from nas.analysis.results import StageTrainings, StudyResults
from nas.architecture.cost import count_cost
from nas.architecture.position import position
from nas.space.objectives import OBJECTIVES
from nas.statistics.decision import check_levels
from nas.study.design import Role
from nas.study.plan import Plan


class NoVerdict(ValueError):
    """The trainings do not answer the question; the message says what is missing."""


@dataclass(frozen=True)
class Question:
    """Whether points between the ends of the spectrum win, put to the results of one study.

    Attributes:
        delta: of the claim, as a fraction: by how much the best end has to be beaten.
        alpha: accepted probability of a wrong verdict.
    """

    results: StudyResults
    delta: float
    alpha: float

    @classmethod
    def of(
        cls, results: StudyResults, delta: float | None = None, alpha: float | None = None
    ) -> Question:
        """The question as it was planned, unless another delta or alpha is given.

        Raises:
            NoVerdict: the study has no plan, or no complete training.
            ValueError: delta or alpha is out of range.
        """
        if names := results.file.budget_names:
            shown = ", ".join(f"{results.name}/{name}" for name in names)
            raise NoVerdict(
                f"study {results.name} is of several budgets, each with an answer: {shown}"
            )
        if not results.plans:
            raise NoVerdict(f"study {results.name} has no plan: it was made by an older version")
        if not any(training.is_complete for training in results.trainings):
            raise NoVerdict(f"study {results.name} has no complete training")
        plan = results.plans[-1].plan
        delta = plan.delta if delta is None else delta
        alpha = plan.alpha if alpha is None else alpha
        check_levels(delta, alpha)
        return cls(results, delta, alpha)

    @property
    def first_plan(self) -> Plan:
        """The plan that was written down before the first training."""
        return self.results.plans[0].plan

    @property
    def plan(self) -> Plan:
        """The latest plan."""
        return self.results.plans[-1].plan

    @cached_property
    def screening(self) -> StageTrainings:
        """Complete trainings of the seeds that choose; of a race all."""
        return self.results.of_stage(self.results.first_stage)

    @cached_property
    def confirmation(self) -> StageTrainings:
        """Complete trainings of the fresh seeds that judge."""
        return self.results.of_stage("confirmation")

    @cached_property
    def screened(self) -> dict[str, list[float]]:
        """Screening accuracies of each arm that is no control: of a design on the seeds that chose.

        Those are the seeds that were planned when the first confirmation training ended; what is
        added later, with confirmed accuracies in view, chooses nothing. An arm that failed with
        one of them is not chosen.
        """
        arms = self.results.of_stage("screening", others=False)
        if not self.results.is_design:
            return {arm: list(arms.scores(arm)) for arm in arms}
        plans = self.results.plans
        before = [e.plan for e in plans if not e.results.get("confirmation")] or [self.first_plan]
        trained = self.results.trainings
        ran = [t.measurement.seed for t in trained if t.stage == "screening"]
        seeds = list(dict.fromkeys(ran))[: before[-1].screening_seeds]
        return arms.of(
            arm for arm, trainings in arms.items() if set(seeds) <= set(trainings)
        ).accuracies(seeds)

    @cached_property
    def confirmed_arms(self) -> list[str]:
        """Arms with a confirmation training, a failed one too."""
        confirmed = (t.arm for t in self.results.trainings if t.stage == "confirmation")
        return list(dict.fromkeys(confirmed))

    @cached_property
    def looks(self) -> int:
        """How often confirmation seeds were added after some had given results."""
        return sum(
            after.results.get("confirmation", 0) > 0
            and after.plan.confirmation_seeds != before.plan.confirmation_seeds
            for before, after in pairwise(self.results.plans)
        )

    def role(self, arm: str) -> Role:
        """An end of the spectrum, an interior point of it, or a control."""
        return self.results.arms[arm].role

    def position(self, arm: str) -> float:
        """Where an arm is on the spectrum; see `nas.architecture.position`."""
        return position(self.results.arms[arm].architecture)

    def costs(self, arm: str) -> tuple[float, ...]:
        """What the study counts of an arm: MACs, parameters or both. Measured costs are noisy."""
        counted = count_cost(self.results.arms[arm].architecture)
        return tuple(
            float(OBJECTIVES[name].count(counted)) for name in self.results.file.counted_costs
        )
