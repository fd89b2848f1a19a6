"""The answer of a study: its verdict, its arms, its controls, and what was not as planned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.analysis.ablation_answer import AblationAnswer, answer_ablation
from nas.analysis.controls import Control, judge_controls
from nas.analysis.fronts import confirmed_front, screened_front
from nas.analysis.judged import NewImages, NotKept, for_new_images
from nas.analysis.plan_changes import changes, machines
from nas.analysis.question import NoVerdict, Question
from nas.analysis.race_answer import RaceAnswer, answer_race
from nas.analysis.results import StudyResults
from nas.analysis.spectrum_curves import SpectrumCurve, spectrum_curves
from nas.analysis.table import ArmRow, arm_rows
from nas.analysis.tuning import TuningRow, edges, tuning_rows
from nas.analysis.verdict import judge_claim, not_judged
from nas.space.claim_section import JudgedOn
from nas.statistics.decision import Verdict
from nas.statistics.paired import Comparison, Interval
from nas.study.plan import Plan


@dataclass(frozen=True)
class Answer:
    """What a study's results say of its claim.

    Attributes:
        verdict: None where there is none; ``reason`` then says why.
        judged_on: the images that judge.
        new_images: the chosen point minus the best end for images that were not there, or why that
            is not known.
        test: the same difference on the test split, where that does not judge.
        test_new_images: of the test split, for images that were not there, or why not.
        plan: the first one that was written down.
        planned_after: trainings that had ended by then; none, unless an old version made the study.
        changes: what was changed since then, or for this answer.
        looks: how often confirmation seeds were added after some had given results. Each time the
            level is halved, so all looks together are wrong with less than twice alpha.
        failed: trainings without a result.
        set_aside: confirmed arms that cost more or less than the chosen one, or that failed in
            screening: they are not judged.
        volume: interval of the confirmed front's hypervolume, as a share of the rectangle up to the
            most expensive arm; None where cost is equal or the noise is not known.
        score: name of the objective that arms are judged by.
        tuning: what each setting of each arm gave, where arms were tuned.
        edges: arms for which the highest or lowest was best of what was tried, a line for each.
        curves: accuracy along the spectrum; descriptive.
    """

    study: str
    verdict: Verdict | None
    reason: str
    judged_on: JudgedOn
    new_images: NewImages | str
    test: Interval | None
    test_new_images: NewImages | str
    plan: Plan
    planned_after: int
    changes: tuple[str, ...]
    looks: int
    rows: tuple[ArmRow, ...]
    controls: tuple[Control, ...]
    failed: int
    set_aside: tuple[str, ...]
    volume: tuple[float, float] | None
    score: str = "accuracy"
    tuning: tuple[TuningRow, ...] = ()
    edges: tuple[str, ...] = ()
    curves: tuple[SpectrumCurve, ...] = ()

    @property
    def outcome(self) -> str:
        """``supported``, ``refuted`` or ``inconclusive``; ``none`` without a verdict."""
        return self.verdict.outcome if self.verdict else "none"


AnyAnswer = Answer | RaceAnswer | AblationAnswer


def answer(
    results: StudyResults, delta: float | None = None, alpha: float | None = None
) -> AnyAnswer:
    """Answer the question of a study by its trainings.

    Args:
        delta: another one than the study's plan has; listed as a change.
        alpha: another one than the study's plan has; listed as a change.

    Raises:
        NoVerdict: the study has no plan, or no complete training.
        ValueError: delta or alpha is out of range.
    """
    question = Question.of(results, delta, alpha)
    if question.plan.ablation is not None:
        return answer_ablation(question, question.plan.ablation)
    return answer_race(question) if results.is_race else _answer_fixed(question)


def _answer_fixed(question: Question) -> Answer:
    results = question.results
    verdict, reason = _judged(question)
    confirmed = confirmed_front(question)
    screened = screened_front(question, confirmed)
    costly = confirmed if results.file.matched is None else None
    return Answer(
        study=results.name,
        verdict=verdict,
        reason=reason,
        judged_on=results.judged_on,
        new_images=_for_new_images(question, verdict, results.judged_on),
        test=_on_test(question, verdict),
        test_new_images=_for_new_images(question, verdict, "test"),
        plan=question.first_plan,
        planned_after=sum(results.plans[0].results.values()),
        changes=(*changes(question), *machines(question.confirmation)),
        looks=question.looks,
        rows=tuple(arm_rows(question, verdict, screened, confirmed)),
        controls=tuple(judge_controls(question)),
        failed=sum(training.measurement.state == "failed" for training in results.trainings),
        set_aside=not_judged(question),
        volume=costly.volume_interval(question.alpha) if costly else None,
        score=results.score,
        tuning=tuple(tuning_rows(results)),
        edges=tuple(edges(results)),
        curves=tuple(spectrum_curves(results)),
    )


def _judged(question: Question) -> tuple[Verdict | None, str]:
    """The verdict, or why there is none."""
    try:
        return judge_claim(question), ""
    except NoVerdict as error:
        return None, str(error)


def answer_of(results: StudyResults) -> AnyAnswer | None:
    """The answer of a study that asked the question; None of a search, which has no verdict."""
    if not results.is_design:
        return None
    try:
        return answer(results)
    except NoVerdict:
        return None


def _for_new_images(question: Question, verdict: Verdict | None, on: JudgedOn) -> NewImages | str:
    """The chosen point minus the best end for images like those; or why that is not known."""
    if verdict is None:
        return "there is no verdict"
    chosen, end = (question.confirmation[name] for name in (verdict.chosen, verdict.best_end))
    try:
        return for_new_images(chosen, end, on, verdict.claim.alpha)
    except NotKept as error:
        return str(error)


def _on_test(question: Question, verdict: Verdict | None) -> Interval | None:
    """The chosen point minus the best end on the test split, if it was read and does not judge."""
    if verdict is None or question.results.judged_on == "test":
        return None
    pair = [question.confirmation[name] for name in (verdict.chosen, verdict.best_end)]
    seeds = sorted(pair[0].keys() & pair[1].keys())
    chosen, end = ([trainings[seed].test_score for seed in seeds] for trainings in pair)
    if None in chosen or None in end:
        return None
    comparison = Comparison.of(np.array(chosen, float), np.array(end, float))
    return comparison.interval(verdict.claim.alpha)
