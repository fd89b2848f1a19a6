"""The answer of a race in words and tables, the same on a terminal and in a report."""

from __future__ import annotations

from collections.abc import Iterator

from nas.analysis.race_answer import RaceAnswer
from nas.reporting.answer_table import AnswerTable
from nas.reporting.as_planned import level, planned, with_caveats
from nas.reporting.formats import bounds, mean_and_deviation, points, points_interval
from nas.reporting.new_images_text import for_new_images
from nas.reporting.spectrum_text import curve_facts
from nas.space.claim_section import IN_WORDS
from nas.space.objectives import OBJECTIVES
from nas.statistics.race_outcome import ArmOutcome, RaceDecision
from nas.study.plan import Plan
from nas.study.setting import NOT_TUNED


def headline(answer: RaceAnswer) -> str:
    """The outcome in a sentence, and what takes from it."""
    decision = answer.decision
    if decision is None:
        return "No verdict: the first look of this race is not complete."
    over = "" if answer.race.is_over else " The race is not over."
    return with_caveats(f"{_outcome(decision)}{over}", answer.changes, answer.controls)


def _outcome(decision: RaceDecision) -> str:
    delta = f"{100 * decision.delta:g} percentage points"
    gap = f"{points(decision.estimate)} against {decision.best_end}"
    between = f"its advantage over every end is {bounds(decision.lower, decision.upper)}"
    match decision.outcome:
        case "wins by more than delta":
            return (
                f"An interior point wins: it beats every end by more than {delta}. "
                f"{decision.leader} leads ({gap})."
            )
        case "wins":
            by = "by less than" if decision.claim == "refuted" else "by more or less than"
            return (
                f"An interior point wins: it beats every end, {by} {delta}. "
                f"{decision.leader} leads ({gap})."
            )
        case "ends win":
            return f"The ends win: {decision.best_end} beats every interior point ({gap})."
        case "equivalent within delta":
            return (
                f"Equivalent: the best interior point and the best end are less than {delta} "
                f"apart ({decision.leader}: {gap})."
            )
        case "no win by delta":
            return f"No interior point beats every end by {delta} ({decision.leader}: {gap})."
        case "open":
            return f"Open: {decision.leader} leads the interior points ({gap}); {between}."


def facts(answer: RaceAnswer) -> Iterator[tuple[str, str]]:
    """What the outcome rests on."""
    yield from planned(_plan(answer.plan), answer.planned_after, answer.changes)
    yield from level(answer.alpha, answer.extensions, "looks")
    if answer.decision is not None:
        yield from _decision_facts(answer, answer.decision)
    yield from curve_facts(answer.curves)
    if answer.failed:
        yield "failed trainings", f"{answer.failed}, each scored as a guess"
    for line in answer.edges:
        yield "tuning", line


def _decision_facts(answer: RaceAnswer, decision: RaceDecision) -> Iterator[tuple[str, str]]:
    race, confidence = answer.race, f"{1 - answer.alpha:.4g} confidence"
    yield (
        "looks",
        f"{len(race.looks)} of {len(race.plan.looks)}, {sum(race.trained.values())} trainings",
    )
    yield (
        "leader against the best end",
        f"{decision.leader} {points(decision.estimate)} percentage points against "
        f"{decision.best_end}, by the seeds of both; both were chosen by these trainings, and the "
        "race ended by them, so the bounds say more",
    )
    yield (
        "advantage of the best interior point over every end",
        f"{bounds(decision.lower, decision.upper)}, each bound with {confidence} over all looks; "
        "for new seeds on these images",
    )
    yield "judged on", IN_WORDS[answer.judged_on]
    yield "difference for new images", for_new_images(answer.new_images)


def _plan(plan: Plan) -> str:
    terms = plan.race
    if terms is None:
        return "not as a race"
    bounds_of_looks = ", ".join(f"{bound:.2f}" for bound in terms.boundaries)
    return (
        f"an interior point beats every end by more than {100 * plan.delta:g} percentage points, "
        f"alpha {plan.alpha:g} over all looks; {terms}; boundaries {bounds_of_looks}; "
        f"ends: {' / '.join(plan.ends)}"
    )


def race_tables(answer: RaceAnswer) -> Iterator[AnswerTable]:
    """The interior arms against each end, and the looks."""
    if answer.decision is not None:
        yield _arms(answer, answer.decision)
        yield _looks(answer)


def _arms(answer: RaceAnswer, decision: RaceDecision) -> AnswerTable:
    """A line for each arm: what it beats, and what it loses to."""
    ends = answer.race.plan.ends
    is_tuned = any(row.setting != NOT_TUNED for row in answer.rows)
    costs = ("arm", *(["tuned"] if is_tuned else []), "MACs", "parameters")
    heads = (*costs, OBJECTIVES[answer.score].noun, "over every end, at most")
    outcomes: dict[str, ArmOutcome | None] = dict.fromkeys(ends) | dict(decision.arms)
    cells = []
    for row in answer.rows:
        if row.name not in outcomes:
            continue
        outcome = outcomes[row.name]
        own = (
            row.name,
            *([str(row.setting)] if is_tuned else []),
            f"{row.macs:,}",
            f"{row.params:,}",
            mean_and_deviation(row.screening),
        )
        if outcome is None:
            cells.append((*own, "", *("" for _ in ends), "end"))
        else:
            intervals = [points_interval(outcome.against[end]) for end in ends]
            cells.append((*own, points(outcome.upper), *intervals, _in_words(outcome)))
    note = (
        "In percent: mean ± standard deviation (seeds). Differences from each end with the bounds "
        "of the race, for each arm by itself: not corrected for how many arms there are."
    )
    if answer.failed:
        note += " Trainings that have failed are in the differences, as a guess, not in the means."
    against = tuple(f"against {end}" for end in ends)
    return AnswerTable("The arms of the race", (*heads, *against, ""), tuple(cells), note)


def _in_words(outcome: ArmOutcome) -> str:
    """``beats C; loses to plain; out``."""
    found = {
        "beats": [end for end, interval in outcome.against.items() if interval.lower > 0],
        "loses to": [end for end, interval in outcome.against.items() if interval.upper < 0],
    }
    said = [f"{verb} {' / '.join(ends)}" for verb, ends in found.items() if ends]
    return "; ".join(said + ["out"] * outcome.refuted)


def _looks(answer: RaceAnswer) -> AnswerTable:
    """What each look compared, and what it decided."""
    heads = ("look", "seeds", "interior arms, the leader first", "ends, the best first", "decided")
    rows = [
        (
            str(number),
            str(look.seeds),
            " / ".join(look.interior),
            " / ".join(look.ends),
            "; ".join(
                ["an interior arm beats every end"] * look.supported
                + [f"{' / '.join(look.refuted)}: out"] * bool(look.refuted)
                + [f"{' / '.join(look.dropped)}: behind another end"] * bool(look.dropped)
            ),
        )
        for number, look in enumerate(answer.race.looks, start=1)
    ]
    note = "Leader and best end are those of the looks before; the first look has all arms."
    return AnswerTable("The looks", heads, tuple(rows), note)
