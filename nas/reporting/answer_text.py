"""An answer in words and tables, the same on a terminal and in a report. Accuracies in percent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import fmean, stdev

from nas.analysis.answer import Answer, ArmRow, Control
from nas.space.quantities import format_count
from nas.statistics.decision import Verdict
from nas.study.plan import Plan

Table = tuple[list[str], list[tuple[str, ...]]]


def headline(answer: Answer) -> str:
    """The verdict in a sentence, and what takes from it."""
    if answer.verdict is None:
        return f"No verdict: {answer.reason}."
    sentences = [_outcome(answer.verdict)]
    if answer.changes:
        sentences.append("Not everything is as it was planned: see below.")
    if any(control.passed is False for control in answer.controls):
        sentences.append("A control did not come out as it must.")
    return " ".join(sentences)


def _outcome(verdict: Verdict) -> str:
    by = f"by more than {100 * verdict.claim.delta:g} percentage points"
    gap = f"{_points(verdict.estimate)} against {verdict.best_end}"
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


def facts(answer: Answer) -> Iterator[tuple[str, str]]:
    """What the verdict rests on."""
    after = f"after {answer.planned_after} runs" if answer.planned_after else "before the first run"
    yield f"planned {after}", _plan(answer.plan)
    for change in answer.changes:
        yield "not as planned", change
    if answer.verdict is not None:
        yield from _verdict_facts(answer.verdict, answer)
    for line in answer.plan.unreachable_verdicts():
        yield "note", line
    if answer.failed:
        yield "failed runs", str(answer.failed)
    if answer.set_aside:
        yield "not judged: another cost, or failed in screening", ", ".join(answer.set_aside)
    if answer.volume is not None:
        low, high = answer.volume
        yield (
            "hypervolume of the confirmed front",
            f"{low:.4f} to {high:.4f} of cost x accuracy, with {1 - answer.plan.alpha:.0%} "
            "confidence over seeds (basic bootstrap)",
        )


def _verdict_facts(verdict: Verdict, answer: Answer) -> Iterator[tuple[str, str]]:
    alpha = verdict.claim.alpha
    seeds = len(verdict.differences)
    interior = [arm.name for arm in verdict.arms if arm.name not in verdict.claim.ends]
    yield "chosen by screening", verdict.chosen
    yield "best end by confirmation", verdict.best_end
    yield (
        "difference",
        f"{_points(verdict.estimate)} percentage points, paired over {seeds} fresh seeds; one by "
        f"one {', '.join(map(_points, sorted(verdict.differences)))}",
    )
    yield (
        "advantage over every end",
        f"{_bounds(verdict.lower, verdict.upper)}, each bound with {1 - alpha:.4g} confidence; "
        "for these images",
    )
    if answer.looks:
        yield (
            "level",
            f"alpha is {alpha:g}, halved for each time that confirmation seeds were added with "
            "results in view; all looks together are wrong with less than "
            f"{2 * alpha * 2**answer.looks:g}",
        )
    yield (
        "p-value",
        f"{verdict.p_value:.3g}, if it beat some end by delta or less: the largest over the "
        f"{len(verdict.claim.ends)} ends, so not knowing the best one costs no correction",
    )
    yield (
        "p-value of a refutation",
        f"{verdict.p_refuted:.3g}, if one of {', '.join(interior)} beat every end by more "
        "(Bonferroni over the ends); says nothing of arms that were not confirmed",
    )
    yield (
        "detectable",
        f"an advantage of {_points(verdict.detectable)} percentage points over every end would "
        "have been found in at least 4 of 5 such studies"
        if isfinite(verdict.detectable)
        else "none: the seeds are too few for this alpha",
    )
    yield "more seeds that would settle it", _more_seeds(verdict)
    if answer.test is not None:
        mean, low, high = answer.test
        yield (
            "the same difference on the test split",
            f"{_points(mean)} percentage points, {_bounds(low, high)}; no part of the verdict",
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
    text += f"; ends: {' / '.join(plan.ends)}; {plan.screening_seeds} screening seeds"
    if plan.confirmation_seeds:
        text += f", {plan.confirmation_seeds} confirmation seeds for {plan.confirmed}"
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


def arms_table(answer: Answer) -> Table:
    """One row for each arm: cost, accuracy in each stage, and what is left of the choice."""
    against = {}
    if answer.verdict is not None:
        against = {arm.name: arm.against_best_end for arm in answer.verdict.arms}
    heads = ["arm", "role", "MACs", "screening", "confirmed", "shrinkage", "test"]
    heads += ["against the best end, uncorrected", "P(front) screened", "P(front) confirmed", ""]
    rows: list[tuple[str, ...]] = []
    for row in answer.rows:
        gap = against.get(row.name)
        rows.append(
            (
                row.name,
                row.role,
                f"{row.macs:,}",
                _mean(row.screening),
                _mean(row.confirmation),
                "" if row.shrinkage is None else _points(row.shrinkage),
                _mean(row.test),
                "" if gap is None else f"{_points(gap[0])} [{_points(gap[1])}, {_points(gap[2])}]",
                _probability(row.p_screened),
                _probability(row.p_confirmed),
                row.label or "",
            )
        )
    return heads, rows


def speed_table(rows: Sequence[ArmRow]) -> Table:
    """Size and speed, as in the paper's Table 3; controls left out."""
    heads = ["arm", "parameters", "MACs", "images/s", "steps/s", "peak memory"]
    return heads, [
        (
            row.name,
            f"{row.params:,}",
            f"{row.macs:,}",
            "" if row.images_per_second is None else f"{row.images_per_second:,.0f}",
            "" if row.steps_per_second is None else f"{row.steps_per_second:.1f}",
            "not measured on CPU"
            if row.peak_memory_bytes is None
            else f"{format_count(row.peak_memory_bytes)}B",
        )
        for row in rows
        if row.role in ("end", "interior")
    ]


def controls_table(controls: Sequence[Control]) -> Table:
    """Each control with what it must show and whether it does."""
    heads = ["control", "must show", "difference from its original", "p-value", "came out"]
    return heads, [
        (
            control.name,
            "no difference" if control.kind == "twin" else "a loss",
            f"{_points(control.difference[0])} [{_points(control.difference[1])}, "
            f"{_points(control.difference[2])}]",
            f"{control.p_value:.3g}",
            _came_out(control),
        )
        for control in controls
    ]


def _came_out(control: Control) -> str:
    if control.passed is None:
        return "cannot be told: too few seeds"
    if not control.passed:
        return "NOT as it must"
    return "no difference found" if control.kind == "twin" else "found"


def _bounds(lower: float, upper: float) -> str:
    if not isfinite(lower) and not isfinite(upper):
        return "unbounded with so few seeds"
    if not isfinite(lower):
        return f"at most {_points(upper)}"
    if not isfinite(upper):
        return f"at least {_points(lower)}"
    return f"{_points(lower)} to {_points(upper)}"


def _probability(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _points(fraction: float) -> str:
    """A difference of accuracies in percentage points."""
    if not isfinite(fraction):
        return "unbounded"
    return f"{100 * fraction:+.2f}"


def _mean(accuracies: Sequence[float]) -> str:
    """Mean and standard deviation in percent, and of how many runs."""
    if not accuracies:
        return ""
    spread = f" ± {100 * stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    return f"{100 * fmean(accuracies):.2f}{spread} ({len(accuracies)})"
