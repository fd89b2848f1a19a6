"""The tables of an answer, for the terminal and the report: arms, size and speed, controls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.analysis.ablation_answer import AblationAnswer
from nas.analysis.answer import AnyAnswer
from nas.analysis.controls import Control
from nas.analysis.race_answer import RaceAnswer
from nas.analysis.table import ArmRow
from nas.analysis.tuning import TuningRow
from nas.reporting.ablation_text import ablation_tables
from nas.reporting.answer_table import AnswerTable
from nas.reporting.formats import mean_and_deviation, points, points_interval
from nas.reporting.race_text import race_tables
from nas.reporting.speed_table import speed_table
from nas.space.objectives import OBJECTIVES
from nas.study.setting import NOT_TUNED


def answer_tables(answer: AnyAnswer) -> Iterator[AnswerTable]:
    """All tables that an answer has."""
    if isinstance(answer, AblationAnswer):
        yield from ablation_tables(answer)
    elif isinstance(answer, RaceAnswer):
        yield from race_tables(answer)
    else:
        yield arms_table(answer.rows, answer.score)
    shown = [row for row in answer.rows if not row.is_control]
    yield speed_table(shown, answer.score)
    if answer.controls:
        yield controls_table(answer.controls)
    if answer.tuning:
        yield tuning_table(answer.tuning, answer.score)


def arms_table(rows: Sequence[ArmRow], score: str) -> AnswerTable:
    """One row for each arm: cost, score in each stage, and what is left of the choice."""
    is_tuned = any(row.setting != NOT_TUNED for row in rows)
    costs = ("arm", "role", *(["tuned"] if is_tuned else []), "MACs")
    accuracies = ("screening", "confirmed", "shrinkage", "test")
    sureness = ("against the best end, uncorrected", "P(front) screened", "P(front) confirmed", "")
    cells = (
        (
            row.name,
            row.role,
            *([str(row.setting)] if is_tuned else []),
            f"{row.macs:,}",
            mean_and_deviation(row.screening),
            mean_and_deviation(row.confirmation),
            "" if row.shrinkage is None else points(row.shrinkage),
            mean_and_deviation(row.test),
            points_interval(row.against_best_end),
            _probability(row.p_screened),
            _probability(row.p_confirmed),
            row.label or "",
        )
        for row in rows
    )
    note = (
        f"{_plural(score)} in percent: mean ± standard deviation (seeds); confirmed on the images "
        "that judge. The test split was read by the confirmation alone."
    )
    return AnswerTable("The arms", costs + accuracies + sureness, tuple(cells), note)


def controls_table(controls: Sequence[Control]) -> AnswerTable:
    """Each control with what it must show and whether it does."""
    heads = ("control", "must show", "difference from its original", "p-value", "came out")
    cells = (
        (
            control.name,
            "no difference" if control.kind == "twin" else "a loss",
            points_interval(control.difference),
            f"{control.p_value:.3g}",
            _came_out(control),
        )
        for control in controls
    )
    title = "Negative (twin) and positive (handicapped) controls"
    return AnswerTable(title, heads, tuple(cells))


def tuning_table(rows: Sequence[TuningRow], score: str) -> AnswerTable:
    """What each setting of each arm gave; controls have what their originals have."""
    heads = ("arm", "setting", OBJECTIVES[score].noun, "failed", "")
    cells = (
        (
            row.arm,
            str(row.setting),
            mean_and_deviation(row.scores),
            str(row.failed or ""),
            "chosen" if row.is_chosen else "",
        )
        for row in rows
    )
    note = "On seeds that nothing else has; what follows is judged by others."
    return AnswerTable("The tuning", heads, tuple(cells), note)


def _came_out(control: Control) -> str:
    if control.passed is None:
        return "cannot be told: too few seeds"
    if not control.passed:
        return "NOT as it must"
    return "no difference found" if control.kind == "twin" else "found"


def _plural(score: str) -> str:
    return {"accuracy": "Accuracies"}.get(score, f"{OBJECTIVES[score].headline}s")


def _probability(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
