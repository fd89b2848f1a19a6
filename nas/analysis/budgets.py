"""The answers of a study of several budgets, and what its arms show at all of them.

Each budget is judged by itself, with its own alpha: a claim of its own. What is said of all budgets
together describes, and decides nothing. It compares each interior arm with every end by its name,
for the best end would be chosen by the same trainings, and at each budget another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from nas.analysis.answer import AnyAnswer, answer
from nas.analysis.published import SPACE, published_file, published_results
from nas.analysis.question import NoVerdict
from nas.analysis.race_answer import RaceAnswer
from nas.analysis.results import StudyResults, read_results
from nas.space.schema import SpaceFile
from nas.statistics.paired import TIE, Interval
from nas.statistics.random_effects import RandomEffects, random_effects
from nas.study.design import Stage
from nas.study.location import StudyPlace
from nas.study.records import Records
from nas.study.storage import NoSuchStudy


@dataclass(frozen=True)
class BudgetAnswer:
    """What the design of one budget says.

    Attributes:
        budget: its name, such as ``500K``.
        answer: None where there is none yet.
    """

    budget: str
    answer: AnyAnswer | None


@dataclass(frozen=True)
class Effect:
    """An interior arm minus an end at one budget.

    Attributes:
        difference: mean over the seeds that both have.
        error: its standard error over seeds; None of a single one, and where they do not differ by
            more than a rounding.
    """

    difference: float
    error: float | None
    seeds: int


@dataclass(frozen=True)
class ArmAcross:
    """An interior arm against one end.

    Attributes:
        stage: whose trainings these are: the fresh seeds of a confirmation where both arms have
            some at every budget, or the seeds that all arms have.
        effects: at each budget; None where an arm is missing.
        together: of all budgets with an error, where there are two.
    """

    arm: str
    end: str
    stage: Stage
    effects: tuple[Effect | None, ...]
    together: RandomEffects | None


@dataclass(frozen=True)
class BudgetsAnswer:
    """The answers at all budgets, and what they show together.

    Attributes:
        cost: what a budget is of: ``macs`` or ``params``.
        arms: each interior one against each end.
        score: name of the objective that arms are judged by.
    """

    study: str
    cost: str
    budgets: tuple[BudgetAnswer, ...]
    arms: tuple[ArmAcross, ...]
    score: str = "accuracy"


@dataclass(frozen=True)
class BudgetsResults:
    """The trainings of a study of several budgets.

    Attributes:
        file: of the whole study.
        of_budgets: of those that have begun, by their names.
    """

    name: str
    file: SpaceFile
    of_budgets: Mapping[str, StudyResults]


def read_budgets(place: StudyPlace, records: Records) -> BudgetsResults:
    """Read the results of all budgets from the study's database.

    Args:
        records: of the study.
    """
    found = {}
    for budget in records.file.budget_names:
        at_budget = place.at_budget(budget)
        try:
            found[budget] = read_results(at_budget.url, at_budget.name)
        except NoSuchStudy:  # nobody came so far
            continue
    return BudgetsResults(place.name, records.file, found)


def published_budgets(folder: Path) -> BudgetsResults | None:
    """Read what was published of a study, a folder for each budget; None of one budget.

    Raises:
        InputError: a file is missing or is not what was published.
    """
    if not (folder / SPACE).is_file():
        return None  # which is an error of any study
    file = published_file(folder)
    if not file.budget_names:
        return None
    found = {budget: published_results(folder / budget) for budget in file.budget_names}
    return BudgetsResults(file.name, file, found)


def answer_budgets(
    results: BudgetsResults, delta: float | None = None, alpha: float | None = None
) -> BudgetsAnswer:
    """Answer the question of each budget, and sum up what the arms show.

    Args:
        delta, alpha: of each budget's claim, in place of what was planned.

    Raises:
        NoVerdict: no budget has a complete training.
        ValueError: delta or alpha is out of range.
    """
    file = results.file
    answers = [
        BudgetAnswer(budget, _answer(results.of_budgets.get(budget), delta, alpha))
        for budget in file.budget_names
    ]
    known = [(results.of_budgets[one.budget], one.answer) for one in answers if one.answer]
    if not known:
        raise NoVerdict(f"study {results.name} has no complete training at any budget")
    return BudgetsAnswer(
        study=results.name,
        cost=file.match.cost if file.match is not None else "",
        budgets=tuple(answers),
        arms=tuple(_arms_across(results, answers)),
        score=known[0][0].score,
    )


def _answer(
    results: StudyResults | None, delta: float | None, alpha: float | None
) -> AnyAnswer | None:
    """That of one budget; None before its first complete training."""
    if results is None:
        return None
    try:
        return answer(results, delta, alpha)
    except NoVerdict:
        return None


def _arms_across(results: BudgetsResults, answers: Sequence[BudgetAnswer]) -> Iterator[ArmAcross]:
    """Each interior arm against each end, in the order of the arms; some are not at all budgets.

    At one whose widths make it the same network as another arm, it has that one's name.
    """
    arms = [run for found in results.of_budgets.values() for run in found.arms.values()]
    interior = dict.fromkeys(run.arm for run in arms if run.role == "interior")
    ends = dict.fromkeys(run.arm for run in arms if run.role == "end")
    for arm in interior:
        for end in (end for end in ends if end not in interior):
            stage = _stage(results, arm, end)
            effects = tuple(_effect(results, one, arm, end, stage) for one in answers)
            yield ArmAcross(arm, end, stage, effects, _together(effects))


def _stage(results: BudgetsResults, arm: str, end: str) -> Stage:
    """The fresh seeds, where both have some at every budget; else those that all arms have.

    Never of one stage here and of another there: what is confirmed is what did well in screening.
    """
    found = list(results.of_budgets.values())
    if all({arm, end} <= set(one.of_stage("confirmation")) for one in found):
        return "confirmation"
    return found[0].first_stage


def _effect(
    results: BudgetsResults, one: BudgetAnswer, arm: str, end: str, stage: Stage
) -> Effect | None:
    """By the seeds that both have; of a race as it scores them, the failed ones too."""
    if isinstance(one.answer, RaceAnswer):
        race = one.answer.race
        seeds = min(race.trained.get(arm, 0), race.trained.get(end, 0))
        rows = race.samples.rows
        pair = [race.samples.values[rows[name], :seeds].tolist() for name in (arm, end) if seeds]
    elif one.answer is not None:
        trainings = results.of_budgets[one.budget].of_stage(stage).of((arm, end))
        pair = list(trainings.accuracies().values())
    else:
        pair = []
    if not pair or not pair[0]:
        return None
    differences = [first - second for first, second in zip(*pair, strict=True)]
    spread = stdev(differences) if len(differences) > 1 else 0.0
    error = spread / sqrt(len(differences)) if spread > TIE else None
    return Effect(fmean(differences), error, len(differences))


def _together(effects: Sequence[Effect | None]) -> RandomEffects | None:
    known = [(e.difference, e.error) for e in effects if e is not None and e.error is not None]
    if len(known) < 2:
        return None
    differences, errors = zip(*known, strict=True)
    return random_effects(differences, errors)


def interval_of(effect: Effect) -> Interval | None:
    """Student's 95% interval at one budget; None where the error is not known."""
    if effect.error is None:
        return None
    from scipy import stats

    half = float(stats.t.ppf(0.975, effect.seeds - 1)) * effect.error
    return Interval(effect.difference, effect.difference - half, effect.difference + half)
