"""What an answer says of its plan, whichever method it is of: when, what changed, what failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.analysis.controls import Control


def with_caveats(sentence: str, changes: Sequence[str], controls: Sequence[Control]) -> str:
    """A headline's sentence, and what takes from it."""
    sentences = [sentence]
    if changes:
        sentences.append("Not everything is as it was planned: see below.")
    if any(control.passed is False for control in controls):
        sentences.append("A control failed.")
    return " ".join(sentences)


def planned(plan: str, planned_after: int, changes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The plan as a fact, and each change of it.

    Args:
        plan: in words.
        planned_after: trainings that had ended by the time that it was written down.
    """
    after = f"after {planned_after} trainings" if planned_after else "before the first training"
    yield f"planned {after}", plan
    for change in changes:
        yield "not as planned", change


def level(alpha: float, extensions: int, what: str) -> Iterator[tuple[str, str]]:
    """The level that is left, where something was changed with results in view.

    Args:
        alpha: as it is now.
        what: was changed, each time for half of the level.
    """
    if extensions:
        first = alpha * 2**extensions
        yield (
            "level",
            f"{alpha:g}: halved for each of {extensions} changes of the {what} with results in "
            f"view; all together are wrong with less than {2 * first:g}",
        )
