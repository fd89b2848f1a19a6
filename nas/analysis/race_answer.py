"""The answer of a study that is a race: who won, by how much, and what was not as planned."""

from __future__ import annotations

from dataclasses import dataclass

from nas.analysis.controls import Control, judge_controls
from nas.analysis.judged import NewImages, NotKept, for_new_images
from nas.analysis.plan_changes import changes, machines
from nas.analysis.question import NoVerdict, Question
from nas.analysis.results import StudyResults
from nas.analysis.spectrum_curves import SpectrumCurve, spectrum_curves
from nas.analysis.table import ArmRow, arm_rows
from nas.analysis.tuning import TuningRow, edges, tuning_rows
from nas.space.claim_section import JudgedOn
from nas.statistics.race import Race
from nas.statistics.race_outcome import RaceDecision, decide
from nas.study.judged import judged_score
from nas.study.plan import Plan
from nas.study.race import extensions, race_of


@dataclass(frozen=True)
class RaceAnswer:
    """What a race's trainings say of its claim.

    Attributes:
        race: as far as its trainings go.
        decision: the outcome so far; None before the first look.
        alpha: of all looks together, halved for each change of them with results in view.
        judged_on: the images that arms are compared on; leaders are chosen on the validation
            images.
        new_images: the leader minus the best end for images that were not there, or why that is
            not known.
        plan: the first one that was written down.
        planned_after: trainings that had ended by then.
        changes: what was changed since then, or for this answer.
        extensions: how often the looks were changed after trainings had ended.
        failed: trainings of its arms without a result, which score what guessing would.
        score: name of the objective that arms are judged by.
        edges: arms for which the highest or lowest was best of what was tried, a line for each.
        curves: accuracy along the spectrum; descriptive.
    """

    study: str
    race: Race
    decision: RaceDecision | None
    alpha: float
    judged_on: JudgedOn
    new_images: NewImages | str
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
    curves: tuple[SpectrumCurve, ...]

    @property
    def outcome(self) -> str:
        """``supported``, ``refuted`` or ``inconclusive``, as the claim of a fixed design is."""
        return self.decision.claim if self.decision else "none"


def answer_race(question: Question) -> RaceAnswer:
    """Answer the question of a race.

    Raises:
        NoVerdict: it was not written down what the race is decided by.
    """
    results = question.results
    if question.plan.race is None:
        raise NoVerdict(f"study {results.name} is a race, and its plan has no looks")
    race, level = _race(results), question.alpha / 2 ** extensions(results.plans)
    decision = decide(race, question.delta, level) if race.looks else None
    return RaceAnswer(
        study=results.name,
        race=race,
        decision=decision,
        alpha=level,
        judged_on=results.judged_on,
        new_images=_for_new_images(question, decision),
        plan=question.first_plan,
        planned_after=sum(results.plans[0].results.values()),
        changes=(*changes(question), *machines(results.of_stage("race"))),
        extensions=extensions(results.plans),
        rows=tuple(arm_rows(question, None, None, None)),
        controls=tuple(judge_controls(question)),
        failed=sum(
            run.measurement.state == "failed" for run in results.trainings if run.is_compared
        ),
        score=results.score,
        tuning=tuple(tuning_rows(results)),
        edges=tuple(edges(results)),
        curves=tuple(spectrum_curves(results)),
    )


def _race(results: StudyResults) -> Race:
    """As it was planned: asked of another claim it is not another race."""
    judging: dict[str, dict[int, float | None]] = {}
    choosing: dict[str, dict[int, float | None]] = {}
    for run in results.trainings:
        measurement = run.measurement
        judged = judged_score(measurement, results.judged_on)
        judging.setdefault(run.arm, {})[measurement.seed] = judged
        choosing.setdefault(run.arm, {})[measurement.seed] = measurement.score
    return race_of(results.file, results.plans, judging, choosing)


def _for_new_images(question: Question, decision: RaceDecision | None) -> NewImages | str:
    if decision is None:
        return "the first look is not complete"
    trainings = question.results.of_stage("race")
    pair = (trainings.get(decision.leader, {}), trainings.get(decision.best_end, {}))
    try:
        return for_new_images(*pair, question.results.judged_on, question.alpha)
    except NotKept as error:
        return str(error)
