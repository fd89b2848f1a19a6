"""The answer of a study that is an ablation: which choices are better, by how much, how sure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from nas.analysis.controls import Control, judge_controls
from nas.analysis.plan_changes import changes, machines
from nas.analysis.question import NoVerdict, Question
from nas.analysis.results import StudyResults
from nas.analysis.table import ArmRow, arm_rows
from nas.analysis.tuning import TuningRow, edges, tuning_rows
from nas.space.ablation import Ablation, ablation_groups, rest_in_words
from nas.space.axes import Choice
from nas.statistics.paired import Comparison, Interval
from nas.statistics.several import Judged, judge_all
from nas.study.ablation_terms import AblationTerms
from nas.study.design import design_seeds
from nas.study.plan import Plan, Registration


@dataclass(frozen=True)
class ChoiceRow:
    """One choice of an axis: means over the arms that have it.

    Attributes:
        scores: the mean of these arms with each seed.
    """

    choice: Choice
    macs: float
    params: float
    scores: tuple[float, ...]


@dataclass(frozen=True)
class AxisAnswer:
    """What the trainings say of one axis.

    Attributes:
        against_first: what is shown of each choice but the first, minus the first.
        single: the same differences where everything else is as named: with intervals of their
            own, not corrected for how many there are.
    """

    ablation: Ablation
    choices: tuple[ChoiceRow, ...]
    against_first: Mapping[Choice, Judged]
    single: tuple[tuple[str, Mapping[Choice, Interval]], ...]


@dataclass(frozen=True)
class AblationAnswer:
    """What a study's trainings say of its ablations.

    Attributes:
        axes: empty where there is no verdict; ``reason`` then says why.
        matched: whether all arms cost the same, or have the declared widths, as in the paper.
        alpha: of each ablation, halved for each change of the seeds with results in view.
        plan: the first one that was written down.
        planned_after: trainings that had ended by then.
        changes: what was changed since then, or for this answer.
        extensions: how often the number of seeds was changed after trainings had ended.
        failed: trainings without a result, which score what guessing would.
        score: name of the objective that arms are judged by.
        edges: arms for which the highest or lowest was best of what was tried, a line for each.
    """

    study: str
    axes: tuple[AxisAnswer, ...]
    reason: str
    matched: bool
    delta: float
    alpha: float
    plan: Plan
    planned_after: int
    changes: tuple[str, ...]
    extensions: int
    rows: tuple[ArmRow, ...]
    controls: tuple[Control, ...]
    failed: int
    score: str
    tuning: tuple[TuningRow, ...]
    edges: tuple[str, ...]

    @property
    def outcome(self) -> str:
        """``supported`` where everything is settled, ``inconclusive`` where something is open."""
        found = [judged for axis in self.axes for judged in axis.against_first.values()]
        if not found:
            return "none"
        settled = all(judged.differs or judged.equivalent for judged in found)
        return "supported" if settled else "inconclusive"


def answer_ablation(question: Question, terms: AblationTerms) -> AblationAnswer:
    """Answer the question of an ablation."""
    results = question.results
    extended = _extensions(results.plans)
    alpha = question.alpha / 2**extended
    axes, reason = _judged(question, terms, alpha)
    return AblationAnswer(
        study=results.name,
        axes=axes,
        reason=reason,
        matched=results.file.matched is not None,
        delta=question.delta,
        alpha=alpha,
        plan=question.first_plan,
        planned_after=sum(results.plans[0].results.values()),
        changes=(*changes(question), *machines(question.screening)),
        extensions=extended,
        rows=tuple(arm_rows(question, None, None, None)),
        controls=tuple(judge_controls(question)),
        failed=sum(
            run.measurement.state == "failed" for run in results.trainings if not run.control_of
        ),
        score=results.score,
        tuning=tuple(tuning_rows(results)),
        edges=tuple(edges(results)),
    )


def _extensions(plans: Sequence[Registration]) -> int:
    """How often the seeds were changed with results in view: each time the level is halved."""
    return sum(
        before.plan.screening_seeds != after.plan.screening_seeds
        and after.results.get("screening", 0) > 0
        for before, after in pairwise(plans)
    )


def _judged(
    question: Question, terms: AblationTerms, alpha: float
) -> tuple[tuple[AxisAnswer, ...], str]:
    """What is shown of each axis, or why nothing can be said."""
    try:
        scores = _scores(question, terms.failed_score)
    except NoVerdict as error:
        return (), str(error)
    delta = question.delta
    return tuple(_axis(question.results, a, scores, delta, alpha) for a in terms.ablations), ""


def _scores(question: Question, failed_score: float) -> dict[str, NDArray[np.float64]]:
    """Scores of each arm with the planned seeds, (seeds,)."""
    results, planned = question.results, question.plan.screening_seeds
    known: dict[str, dict[int, float]] = {}
    for run in results.trainings:
        score = run.measurement.score
        if not run.control_of:
            ended = known.setdefault(run.arm, {})
            ended[run.measurement.seed] = failed_score if score is None else score
    file = results.file
    seeds = design_seeds(file.name, file.study.seed, "screening", planned)
    arms = _arms(question)
    complete = sum(all(seed in known.get(arm, ()) for arm in arms) for seed in seeds)
    if complete < planned:
        raise NoVerdict(f"{complete} of {planned} seeds are complete in all arms")
    return {arm: np.array([known[arm][seed] for seed in seeds]) for arm in arms}


def _arms(question: Question) -> list[str]:
    """Planned arms that are no controls."""
    arms = question.results.arms
    return [name for name in question.plan.arms if name not in arms or not arms[name].control_of]


def _axis(
    results: StudyResults,
    ablation: Ablation,
    scores: Mapping[str, NDArray[np.float64]],
    delta: float,
    alpha: float,
) -> AxisAnswer:
    networks = {name: run.architecture for name, run in results.arms.items() if name in scores}
    groups = ablation_groups(networks, ablation.axis)
    first, *others = ablation.choices
    means = {c: np.mean([scores[g[c]] for g in groups], axis=0) for c in ablation.choices}
    compared = [Comparison.of(means[choice], means[first]) for choice in others]
    words = rest_in_words([networks[group[first]] for group in groups], ablation.axis)
    return AxisAnswer(
        ablation,
        tuple(_rows(results, groups, means)),
        dict(zip(others, judge_all(compared, delta, alpha), strict=True)),
        tuple(
            (rest, {c: _interval(scores[group[c]], scores[group[first]], alpha) for c in others})
            for rest, group in zip(words, groups, strict=True)
        ),
    )


def _interval(second: NDArray[np.float64], first: NDArray[np.float64], alpha: float) -> Interval:
    return Comparison.of(second, first).interval(alpha / 2)


def _rows(
    results: StudyResults,
    groups: Sequence[Mapping[Choice, str]],
    means: Mapping[Choice, NDArray[np.float64]],
) -> Iterator[ChoiceRow]:
    for choice, scores in means.items():
        measured = [results.arms[group[choice]].measurement for group in groups]
        yield ChoiceRow(
            choice,
            fmean(m.macs for m in measured),
            fmean(m.params for m in measured),
            tuple(scores.tolist()),
        )
