"""An answer in words and tables, the same on a terminal and in a report. Accuracies in percent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import fmean, stdev

from nas.space.quantities import format_count
from nas.verdict.answer import Answer, ArmRow, Control
from nas.verdict.decision import Verdict

Table = tuple[list[str], list[tuple[str, ...]]]


def headline(answer: Answer) -> str:
    """The verdict in a sentence."""
    verdict = answer.verdict
    if verdict is None:
        return f"No verdict: {answer.reason}."
    gap = f"{_points(verdict.estimate)} ({_interval(verdict)})"
    by = f"by more than {100 * verdict.claim.delta:g} percentage points"
    match verdict.outcome:
        case "supported":
            return f"Supported: {verdict.chosen} beats every end {by}; the best of them by {gap}."
        case "refuted":
            return f"Refuted: no confirmed interior point beats every end {by}; the best: {gap}."
        case "inconclusive":
            return (
                f"Inconclusive: whether {verdict.chosen} beats every end {by} cannot be told; "
                f"against the best of them: {gap}."
            )


def facts(answer: Answer) -> Iterator[tuple[str, str]]:
    """What the verdict rests on."""
    verdict = answer.verdict
    yield "planned before the first run", _plan(answer)
    for change in answer.changes:
        yield "changed since", change
    if verdict is not None:
        seeds = next(arm.seeds for arm in verdict.arms if arm.name == verdict.chosen)
        yield "chosen by screening", verdict.chosen
        yield "best end by confirmation", verdict.best_end
        yield (
            "difference",
            f"{_points(verdict.estimate)} percentage points, {_interval(verdict)}, "
            f"paired over {seeds} fresh seeds",
        )
        yield (
            "p-value",
            f"{verdict.p_value:.3g} that it beats no end or not every end by more than delta "
            "(the largest over the ends, so choosing the best end costs nothing)",
        )
        yield "p-value of a refutation", f"{verdict.p_refuted:.3g} (Bonferroni over the ends)"
        yield (
            "detectable",
            f"a difference of {_points(verdict.detectable)} percentage points would have been "
            "found in 4 of 5 such studies"
            if isfinite(verdict.detectable)
            else "none: the seeds are too few for this alpha",
        )
        yield "more seeds that would settle it", _more_seeds(verdict)
    if answer.failed:
        yield "failed runs", str(answer.failed)
    if answer.set_aside:
        yield "set aside, for they cost too much less or more", ", ".join(answer.set_aside)
    if answer.volume is not None:
        low, high = answer.volume
        yield "hypervolume", f"{low:.4f} to {high:.4f} of cost x accuracy"


def _plan(answer: Answer) -> str:
    plan = answer.plan
    text = (
        f"the best interior point beats the best end by more than {100 * plan.delta:g} "
        f"percentage points, alpha {plan.alpha:g}"
    )
    if plan.arms:
        text += f"; {len(plan.arms)} arms, of them {len(plan.ends)} ends ({', '.join(plan.ends)})"
    text += f"; {plan.screening_seeds} screening seeds"
    if plan.confirmation_seeds:
        text += f", {plan.confirmation_seeds} confirmation seeds for {plan.confirmed}"
    return text


def _more_seeds(verdict: Verdict) -> str:
    if verdict.outcome != "inconclusive":
        return "none: it is settled"
    if verdict.more_seeds is None:
        return "more than 10,000: the estimate is too close to delta"
    return f"{verdict.more_seeds} (with 80% probability, if the estimate were right)"


def arms_table(answer: Answer) -> Table:
    """One row for each arm: cost, accuracy in each stage, and what is left of the choice."""
    against = {}
    if answer.verdict is not None:
        against = {arm.name: arm.against_best_end for arm in answer.verdict.arms}
    heads = ["arm", "role", "MACs", "screening", "confirmed", "shrinkage", "test"]
    heads += ["against the best end", "P(front)", ""]
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
                "" if row.p_front is None else f"{row.p_front:.2f}",
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
            "cannot be told: too few seeds"
            if control.passed is None
            else "as it must"
            if control.passed
            else "NOT as it must",
        )
        for control in controls
    ]


def _interval(verdict: Verdict) -> str:
    confidence = 100 * (1 - verdict.claim.alpha)
    return f"{confidence:g}% interval {_points(verdict.lower)} to {_points(verdict.upper)}"


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
