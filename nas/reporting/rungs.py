"""The rungs of successive halving, in the report and in a search's last lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.analysis.rungs import LEAST_COMPARED, Rung, doubts
from nas.reporting.answer_table import AnswerTable
from nas.space.quantities import duration, epochs_in_words

_NOTE = (
    "Each training is a whole schedule of so many epochs. Kendall's tau, with its 95% interval "
    "over trials, says how alike a rung and the next one rank what is maximized: of the promoted "
    "trials alone, which are more alike, and so harder to rank, than all that the rung has. A "
    "trial has the same seeds at both, which makes them rank more alike than others would. Fewer "
    f"than {LEAST_COMPARED} trials are too few to tell."
)


def rungs_table(rungs: Sequence[Rung]) -> AnswerTable:
    """One row for each rung."""
    heads = ("epochs", "trials", "promoted", "training", "tau with the next", "interval")
    cells = (
        (
            str(rung.epochs),
            str(rung.trials),
            "" if rung is rungs[-1] else str(rung.promoted),
            duration(rung.seconds),
            "" if rung is rungs[-1] else _tau(rung),
            f"{rung.agreement.lower:.2f} to {rung.agreement.upper:.2f}" if rung.agreement else "",
        )
        for rung in rungs
    )
    return AnswerTable("Rungs", heads, tuple(cells), _NOTE)


def rungs_in_words(rungs: Sequence[Rung]) -> Iterator[str]:
    """How many trials each rung has, what they cost, and which ranks hardly better than chance."""
    if rungs:
        higher = ", ".join(f"{rung.trials} for {rung.epochs}" for rung in rungs[1:])
        seconds = duration(sum(rung.seconds for rung in rungs))
        first = f"{rungs[0].trials} trials trained for {epochs_in_words(rungs[0].epochs)}"
        yield f"rungs: {first}, {higher}; {seconds} of training"
        yield from (f"warning: {doubt}" for doubt in doubts(rungs))


def _tau(rung: Rung) -> str:
    return f"{rung.agreement.tau:.2f}" if rung.agreement else "too few to tell"
