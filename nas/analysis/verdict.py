"""The verdict on a study's claim: what is chosen, what it is compared with, and on which seeds."""

from __future__ import annotations

from statistics import fmean

from nas.analysis.question import NoVerdict, Question
from nas.analysis.results import StageTrainings
from nas.statistics.decision import Claim, Verdict, judge

COMPARABLE = 0.02
"""How far the costs of two arms may be apart, relative, for them to be called equal."""


SEARCHED = (
    "this is a search, in which the best of many networks would be compared with one at each end, "
    "and often win where segments make no difference; a design, whose arms all have the same "
    "effort, has a verdict"
)


def judge_claim(question: Question) -> Verdict:
    """Judge the interior point that screening chose against all ends of its cost.

    Raises:
        NoVerdict: something is missing that the verdict would rest on, or the study is a search.
    """
    if not question.results.is_design:
        raise NoVerdict(SEARCHED)
    chosen = _chosen(question)
    judged = _judged(question, chosen)
    ends = tuple(name for name in judged if question.role(name) == "end")
    for kind, missing in (
        ("regular", all(question.position(name) == 1.0 for name in ends)),
        ("depthwise", all(question.position(name) <= 0.0 for name in ends)),
    ):
        if missing:
            raise NoVerdict(f"no {kind} end of the same cost as {chosen} was confirmed")
    trainings = _judging_trainings(question, judged)
    # Each time that seeds were added with results in view the level is halved.
    claim = Claim(ends, question.delta, question.alpha / 2**question.looks)
    return judge(
        {name: question.screened[name] for name in judged if name in question.screened},
        trainings.accuracies(),
        claim,
    )


def not_judged(question: Question) -> tuple[str, ...]:
    """Confirmed arms of another cost than the chosen one's, or that failed in screening.

    None of a search, in which nothing is judged.
    """
    if not question.results.is_design:
        return ()
    try:
        chosen = _chosen(question)
    except NoVerdict:
        return ()
    judged = _judged(question, chosen)
    return tuple(name for name in _candidates(question) if name not in judged)


def _chosen(question: Question) -> str:
    """The interior arm that screening puts first, before any look at its confirmation."""
    if not question.plan.confirmation_seeds:
        raise NoVerdict(
            "nothing was confirmed: what is chosen by some seeds has to be judged by others; "
            "add confirm: {seeds: 8}"
        )
    if not question.confirmation:
        raise NoVerdict("no training of the confirmation is complete yet")
    screened, confirmed = question.screened, question.confirmed_arms
    interior = [name for name in screened if question.role(name) == "interior"]
    if not interior:
        raise NoVerdict("no interior point has all screening trainings")
    chosen = max(interior, key=lambda name: fmean(screened[name]))
    if chosen not in confirmed:
        raise NoVerdict(f"{chosen}, which screening chose, was not confirmed")
    return chosen


def _candidates(question: Question) -> list[str]:
    """Confirmed arms that are no controls."""
    return [n for n in question.confirmed_arms if question.role(n) in ("end", "interior")]


def _judged(question: Question, chosen: str) -> list[str]:
    """Confirmed arms of the chosen one's cost; a design without a matched one has others, too."""
    # Matched ones are within the tolerance that the study asked for.
    matched, cost = question.results.file.matched, question.costs(chosen)[0]
    return [
        name
        for name in _candidates(question)
        if (matched or abs(question.costs(name)[0] / cost - 1) <= COMPARABLE)
        and (question.role(name) == "end" or name in question.screened)
    ]


def _judging_trainings(question: Question, judged: list[str]) -> StageTrainings:
    """The confirmation, all of whose seeds every judged arm has to have come through.

    A seed that is missing in one arm could be left out of all, but it may be missing because of
    what it would have shown: that the network diverges.
    """
    for training in question.results.trainings:
        failed = training.stage == "confirmation" and training.measurement.state == "failed"
        if failed and training.arm in judged:
            raise NoVerdict(
                f"{training.arm} failed with confirmation seed {training.measurement.seed}: "
                f"{training.measurement.reason}"
            )
    trainings, planned = question.confirmation.of(judged), question.plan.confirmation_seeds
    complete = len(trainings.common_seeds)
    if complete < planned:
        raise NoVerdict(f"{complete} of {planned} confirmation seeds are complete in all arms")
    return trainings
