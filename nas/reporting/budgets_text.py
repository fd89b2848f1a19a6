"""The answers of a study of several budgets in words, the same on a terminal and in a report."""

from __future__ import annotations

from collections.abc import Iterator

from nas.analysis.budgets import ArmAcross, BudgetsAnswer, Effect
from nas.reporting import answer_text
from nas.reporting.answer_table import AnswerTable
from nas.reporting.formats import points, points_interval
from nas.space.objectives import OBJECTIVES
from nas.study.design import Stage

_NOTE = (
    "An arm minus an end, in percentage points; at each budget ± the standard error over the seeds "
    "that both have (in brackets how many). Together: the mean of the true differences, which may "
    "be another one at each budget, with its 95% interval (random effects; Hartung, Knapp, Sidik "
    "and Jonkman); tau, their standard deviation (Paule and Mandel); I², the share of what the "
    "estimates vary by that is more than noise. It describes, and decides nothing: budgets were "
    "chosen and not drawn, few say little of tau, errors are taken to be known, all budgets are "
    "judged on the same images or on halves of the same, and the intervals are of each line by "
    "itself."
)
_NEW = " A new budget: the 95% interval of the true difference there."
_OF_STAGE: dict[Stage, str] = {
    "screening": " By the screening seeds, which all arms have.",
    "confirmation": " Lines marked fresh: by the seeds of the confirmation, where both arms have "
    "some at every budget; the others by the screening seeds.",
    "race": " A race leaves arms behind, and ends, by these same trainings: what trails by few "
    "seeds is partly out of luck, and what wins early partly in it.",
}


def claims_in_words(found: BudgetsAnswer) -> str:
    """That each budget is judged by itself, and what that means for all of them."""
    count = len(found.budgets)
    return (
        f"{count} budgets of {OBJECTIVES[found.cost].unit}, each a claim of its own, judged by "
        "itself with an alpha of its own: that any of them is judged wrongly is up to "
        f"{count} times as probable."
    )


def headlines(found: BudgetsAnswer) -> Iterator[str]:
    """A sentence for each budget."""
    for one in found.budgets:
        said = answer_text.headline(one.answer) if one.answer else "There is no answer yet."
        yield f"{one.budget}: {said}"


def across_table(found: BudgetsAnswer) -> AnswerTable:
    """Each interior arm against each end: at each budget, and at all together."""
    names = tuple(one.budget for one in found.budgets)
    predicted = any(arm.together and arm.together.new for arm in found.arms)
    marked = any(arm.stage == "confirmation" for arm in found.arms)
    heads = ("arm", "against", *names, "together", "tau", "I²")
    heads += ("a new budget",) * predicted + ("",) * marked
    rows = tuple(
        (
            arm.arm,
            arm.end,
            *map(_at_budget, arm.effects),
            *_together(arm, predicted),
            *(["fresh" if arm.stage == "confirmation" else ""] if marked else []),
        )
        for arm in found.arms
    )
    stage = "confirmation" if marked else found.arms[0].stage if found.arms else "screening"
    note = _NOTE + _NEW * predicted + _OF_STAGE[stage]
    return AnswerTable("All budgets together", heads, rows, note)


def _at_budget(effect: Effect | None) -> str:
    if effect is None:
        return ""
    error = "" if effect.error is None else f" ± {100 * effect.error:.2f}"
    return f"{points(effect.difference)}{error} ({effect.seeds})"


def _together(arm: ArmAcross, predicted: bool) -> tuple[str, ...]:
    found = arm.together
    if found is None:
        return ("",) * (4 if predicted else 3)
    cells = (points_interval(found.mean), f"{100 * found.tau:.2f}", f"{found.i_squared:.0%}")
    return (*cells, points_interval(found.new)) if predicted else cells
