"""Negative controls (twins) and positive controls (handicapped arms), and whether they passed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nas.analysis.question import Question
from nas.analysis.results import ArmRun
from nas.statistics.paired import Comparison, Interval
from nas.study.design import Role


@dataclass(frozen=True)
class Control:
    """Whether a control came out as it must.

    Attributes:
        kind: ``twin``, the negative control, which must show no difference, or ``handicapped``,
            the positive control, which must be worse.
        difference: the control minus its original.
        p_value: two-sided for a twin; of the hypothesis of no loss for a handicapped arm.
        passed: None where the seeds are too few to tell.
    """

    name: str
    control_of: str
    kind: Role
    difference: Interval
    p_value: float
    passed: bool | None


def judge_controls(question: Question) -> Iterator[Control]:
    """Compare each control with its original, by the confirmation where it was confirmed."""
    for name, training in question.results.arms.items():
        stage = question.confirmation if name in question.confirmation else question.screening
        pair = stage.of((name, training.control_of))
        if training.control_of and pair.common_seeds:
            control, original = pair.accuracies().values()
            yield _control(question, training, Comparison.of(control, original))


def _control(question: Question, training: ArmRun, comparison: Comparison) -> Control:
    worse = training.role == "handicapped"
    below, above = comparison.p_less(0.0), comparison.p_greater(0.0)
    p_value = below if worse else min(1.0, 2 * min(below, above))
    smallest = 2.0**-comparison.seeds * (1 if worse else 2)
    twins = sum(arm.role == "twin" for arm in question.results.arms.values())
    level = question.alpha if worse else question.alpha / twins
    return Control(
        training.arm,
        training.control_of,
        training.role,
        comparison.interval(question.alpha / 2),
        p_value,
        passed=(p_value <= level) == worse if smallest <= level else None,
    )
