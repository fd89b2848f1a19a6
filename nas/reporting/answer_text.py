"""An answer in words, the same on a terminal and in a report. Accuracies in percent."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from nas.analysis.ablation_answer import AblationAnswer
from nas.analysis.answer import Answer, AnyAnswer
from nas.analysis.race_answer import RaceAnswer
from nas.reporting import ablation_text, race_text
from nas.reporting.as_planned import planned, with_caveats
from nas.reporting.formats import bounds, points
from nas.reporting.new_images_text import for_new_images
from nas.reporting.spectrum_text import curve_facts
from nas.space.claim_section import IN_WORDS
from nas.space.objectives import OBJECTIVES
from nas.statistics.decision import Verdict
from nas.study.plan import Plan


def headline(answer: AnyAnswer) -> str:
    """The verdict in a sentence, and what takes from it."""
    if isinstance(answer, AblationAnswer):
        return ablation_text.headline(answer)
    if isinstance(answer, RaceAnswer):
        return race_text.headline(answer)
    if answer.verdict is None:
        return f"No verdict: {answer.reason}."
    return with_caveats(_outcome(answer.verdict), answer.changes, answer.controls)


def _outcome(verdict: Verdict) -> str:
    by = f"by more than {100 * verdict.claim.delta:g} percentage points"
    gap = f"{points(verdict.estimate)} against {verdict.best_end}"
    match verdict.outcome:
        case "supported":
            return f"Supported: {verdict.chosen} beats every end {by} ({gap})."
        case "refuted":
            return (
                f"Refuted: no confirmed interior point beats every end {by} "
                f"({verdict.chosen}, which screening chose: {gap})."
            )
        case "inconclusive":
            return f"Inconclusive: whether {verdict.chosen} beats every end {by} is open ({gap})."


def facts(answer: AnyAnswer) -> Iterator[tuple[str, str]]:
    """What the verdict rests on."""
    if isinstance(answer, AblationAnswer):
        yield from ablation_text.facts(answer)
        return
    if isinstance(answer, RaceAnswer):
        yield from race_text.facts(answer)
        return
    yield from planned(_plan(answer.plan), answer.planned_after, answer.changes)
    if answer.verdict is not None:
        yield from _verdict_facts(answer.verdict, answer)
    yield from curve_facts(answer.curves)
    for line in (*answer.plan.unreachable_verdicts(), *answer.edges):
        yield "note", line
    if answer.failed:
        yield "failed trainings", str(answer.failed)
    if answer.set_aside:
        yield "not judged: another cost, or failed in screening", ", ".join(answer.set_aside)
    if answer.volume is not None:
        low, high = answer.volume
        covered = f"cost x {OBJECTIVES[answer.score].noun}"
        yield (
            "hypervolume of the confirmed front",
            f"{low:.4f} to {high:.4f} of {covered}, with {1 - answer.plan.alpha:.0%} "
            "confidence over seeds (basic bootstrap)",
        )


def _verdict_facts(verdict: Verdict, answer: Answer) -> Iterator[tuple[str, str]]:
    yield "chosen by screening", verdict.chosen
    yield "best end by confirmation", verdict.best_end
    yield (
        "difference",
        f"{points(verdict.estimate)} percentage points, paired over {len(verdict.differences)} "
        f"fresh seeds; one by one {', '.join(map(points, sorted(verdict.differences)))}",
    )
    yield (
        "advantage over every end",
        f"{bounds(verdict.lower, verdict.upper)}, each bound with "
        f"{1 - verdict.claim.alpha:.4g} confidence; for new seeds on these images",
    )
    yield "judged on", IN_WORDS[answer.judged_on]
    yield "difference for new images", for_new_images(answer.new_images)
    if answer.looks:
        yield "level", _level(verdict.claim.alpha, answer.looks)
    yield from _p_values(verdict)
    yield "detectable", _detectable(verdict)
    yield "more seeds that would settle it", _more_seeds(verdict)
    if answer.test is not None:
        mean, low, high = answer.test
        found = answer.test_new_images
        wider = (
            ""
            if isinstance(found, str)
            else f", for new images as well {bounds(*found.new_seeds[1:])}"
        )
        yield (
            "the same difference on the test split",
            f"{points(mean)} percentage points, {bounds(low, high)}{wider}; no part of the verdict",
        )


def _level(alpha: float, looks: int) -> str:
    return (
        f"alpha is {alpha:g}, halved for each time that confirmation seeds were added with "
        f"results in view; all looks together are wrong with less than {2 * alpha * 2**looks:g}"
    )


def _p_values(verdict: Verdict) -> Iterator[tuple[str, str]]:
    yield (
        "p-value",
        f"{verdict.p_value:.3g}, if it beat some end by delta or less: the largest over the "
        f"{len(verdict.claim.ends)} ends, so not knowing the best one costs no correction",
    )
    yield (
        "p-value of a refutation",
        f"{verdict.p_refuted:.3g}, if one of {', '.join(verdict.interior)} beat every end by more "
        "(Bonferroni over the ends); says nothing of arms that were not confirmed",
    )


def _detectable(verdict: Verdict) -> str:
    if not isfinite(verdict.detectable):
        return "none: the seeds are too few for this alpha"
    return (
        f"an advantage of {points(verdict.detectable)} percentage points over every end would "
        "have been found in at least 4 of 5 such studies"
    )


def _plan(plan: Plan) -> str:
    text = (
        f"the best interior point beats the best end by more than {100 * plan.delta:g} "
        f"percentage points, alpha {plan.alpha:g}"
    )
    if plan.arms:
        text += f"; {len(plan.arms)} arms"
    if plan.trials:
        text += f"; {plan.trials} trials"
    if plan.tuning:
        text += f"; tuned for each arm: {', '.join(plan.tuning)}; {plan.tuning_seeds} tuning seeds"
    text += f"; ends: {' / '.join(plan.ends)}; {plan.screening_seeds} screening seeds"
    if plan.confirmation_seeds:
        text += f", {plan.confirmation_seeds} confirmation seeds for {plan.confirmed}"
    if plan.judged_on != "validation":
        text += f", judged on {IN_WORDS[plan.judged_on]}"
    return text


def _more_seeds(verdict: Verdict) -> str:
    if verdict.outcome != "inconclusive":
        return "none: it is settled"
    if len(verdict.differences) < 2:
        return "unknown: one seed says nothing of the noise"
    if verdict.more_seeds is None:
        return "more than 10,000: the estimate is too close to delta"
    return (
        f"{verdict.more_seeds} (with 80% probability, if the estimate were right; added to this "
        "study they are judged at half its alpha)"
    )
