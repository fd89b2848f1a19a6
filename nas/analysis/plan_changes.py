"""What of a study is not as it was planned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from nas.analysis.question import Question
from nas.analysis.results import StageTrainings


def changes(question: Question) -> Iterator[str]:
    """What is not as it was planned, and how many results were there by then."""
    for before, after in pairwise(question.results.plans):
        when = f"{after.at}, after {sum(after.results.values())} trainings"
        yield from (f"{change} ({when})" for change in before.plan.changes(after.plan))
    asked = replace(question.plan, delta=question.delta, alpha=question.alpha)
    yield from (f"{change} (for this answer alone)" for change in question.plan.changes(asked))


def machines(trainings: StageTrainings) -> Iterator[str]:
    """A line where the trainings that judge are not all of one kind of machine."""
    machines = {
        f"{m.device}, {m.threads} {'thread' if m.threads == 1 else 'threads'}, torch "
        f"{m.versions.get('torch', '?')}, kernels {m.versions.get('kernels', 'of PyTorch')}"
        for arm in trainings.values()
        for m in arm.values()
    }
    if len(machines) > 1:
        yield f"trained on different machines: {'; '.join(sorted(machines))}"
