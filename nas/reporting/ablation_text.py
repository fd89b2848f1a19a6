"""The answer of an ablation in words and tables, the same on a terminal and in a report."""

from __future__ import annotations

from collections.abc import Iterator

from nas.analysis.ablation_answer import AblationAnswer, AxisAnswer
from nas.reporting.answer_table import AnswerTable
from nas.reporting.as_planned import level, planned, with_caveats
from nas.reporting.formats import mean_and_deviation, points_interval
from nas.space.ablation import in_words
from nas.space.axes import Choice
from nas.space.objectives import OBJECTIVES
from nas.statistics.several import Judged
from nas.study.plan import Plan


def headline(answer: AblationAnswer) -> str:
    """A sentence for each ablation, and what takes from them."""
    if not answer.axes:
        return f"No verdict: {answer.reason}."
    at = "At equal cost" if answer.matched else "At the declared widths"
    sentences = " ".join(f"{sentence(axis, answer.delta)}." for axis in answer.axes)
    return with_caveats(f"{at}. {sentences}", answer.changes, answer.controls)


def sentence(axis: AxisAnswer, delta: float) -> str:
    """What is shown of one axis: ``Activation: no activation is better than relu by 0.80 ...``."""
    name = axis.ablation.axis
    first = in_words(name, axis.ablation.choices[0])
    said = (
        _compared(in_words(name, choice), first, judged, delta)
        for choice, judged in axis.against_first.items()
    )
    return f"{name.capitalize()}: {'; '.join(said)}"


def _compared(choice: str, first: str, judged: Judged, delta: float) -> str:
    mean, lower, upper = judged.interval
    margin = f"{100 * delta:g} points"
    if judged.differs:
        better, worse = (choice, first) if mean > 0 else (first, choice)
        ends = sorted((abs(lower), abs(upper)))
        by = f"{100 * abs(mean):.2f} points [{100 * ends[0]:.2f}, {100 * ends[1]:.2f}]"
        small = f", which is equivalent within {margin}" if judged.equivalent else ""
        return f"{better} is better than {worse} by {by}{small}"
    gap = points_interval(judged.interval)
    if judged.equivalent:
        return f"{choice} and {first} are equivalent within {margin} ({gap})"
    return f"whether {choice} is better than {first} is open ({gap})"


def facts(answer: AblationAnswer) -> Iterator[tuple[str, str]]:
    """What the verdict rests on."""
    yield from planned(_plan(answer.plan), answer.planned_after, answer.changes)
    yield from level(answer.alpha, answer.extensions, "seeds")
    if answer.axes:
        yield (
            "differences",
            "paired over the seeds, mean of the arms that differ in this choice alone; exact "
            f"sign-flip test; for new seeds on these images, and alpha {answer.alpha:g} over all "
            "comparisons of an ablation (Holm)",
        )
    yield (
        "cost",
        "all arms cost the same: their widths are solved"
        if answer.matched
        else "declared widths, as in the paper: what a choice costs is not made up for",
    )
    if answer.failed:
        yield "failed trainings", f"{answer.failed}, each scored as a guess"
    for line in (*answer.plan.unreachable_verdicts(), *answer.edges):
        yield "note", line


def _plan(plan: Plan) -> str:
    return (
        f"{plan.ablation}; {len(plan.arms)} arms, {plan.screening_seeds} seeds, alpha "
        f"{plan.alpha:g} for each ablation; equivalent within {100 * plan.delta:g} points"
    )


def ablation_tables(answer: AblationAnswer) -> Iterator[AnswerTable]:
    """For each axis its choices, then the same differences for each arm by itself."""
    for axis in answer.axes:
        yield _choices(axis, answer)
        if len(axis.single) > 1:
            yield _single(axis)


def _choices(axis: AxisAnswer, answer: AblationAnswer) -> AnswerTable:
    name = axis.ablation.axis
    first = in_words(name, axis.ablation.choices[0])
    heads = ("choice", "MACs", "parameters", OBJECTIVES[answer.score].noun)
    compared = (
        f"against {first}",
        "p-value, of no difference",
        "of a difference as large as delta",
    )
    rows = tuple(
        (
            in_words(name, row.choice),
            f"{row.macs:,.0f}",
            f"{row.params:,.0f}",
            mean_and_deviation(row.scores),
            *_cells(axis.against_first.get(row.choice)),
        )
        for row in axis.choices
    )
    note = (
        f"Means over {axis.ablation.arms} arms of each choice, which differ in nothing else; in "
        "percent, ± standard deviation over the seeds. p-values are adjusted (Holm), and the "
        "interval is at the level that they are held against."
    )
    return AnswerTable(f"Ablation: {name}", (*heads, *compared), rows, note)


def _cells(judged: Judged | None) -> tuple[str, str, str]:
    if judged is None:
        return ("", "", "")
    return (
        points_interval(judged.interval),
        f"{judged.p_different:.3g}",
        f"{judged.p_equivalent:.3g}",
    )


def _single(axis: AxisAnswer) -> AnswerTable:
    name, choices = axis.ablation.axis, axis.ablation.choices

    def head(choice: Choice) -> str:
        return f"{in_words(name, choice)} against {in_words(name, choices[0])}"

    rows = tuple(
        (rest, *(points_interval(found[choice]) for choice in choices[1:]))
        for rest, found in axis.single
    )
    note = (
        "The same differences, each by itself: not corrected for how many there are, and no part "
        "of the verdict."
    )
    return AnswerTable(
        f"{name.capitalize()}, arm by arm", ("arms", *map(head, choices[1:])), rows, note
    )
