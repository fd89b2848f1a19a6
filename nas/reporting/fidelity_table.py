"""Rank agreement on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from nas.analysis.fidelity import BASELINE, Comparison
from nas.engine.terminal import plain_table, print_table, say
from nas.statistics.rank_agreement import Agreement, best_count


def print_fidelity(found: Comparison, epochs: int, longer: int, console: Console) -> None:
    """Print each signal's agreement with the longer trainings, the ceiling, and what is useless."""
    fidelity = found.fidelity
    say(
        console,
        f"{fidelity.architectures} architectures, {epochs} epochs against {longer}, "
        f"Kendall's tau with 95% intervals over architectures; "
        f"top third: the best {best_count(fidelity.architectures)} of each longer training; "
        f"seconds: of a network, median",
    )
    numbers = ("tau", "interval", "of the ceiling", "top third", "seconds")
    table = plain_table(("signal",), numbers)
    for agreement in (fidelity.ceiling, *fidelity.signals):
        table.add_row(
            agreement.signal,
            f"{agreement.tau:.2f}",
            f"{agreement.lower:.2f} to {agreement.upper:.2f}",
            _share(agreement),
            _top(agreement),
            _seconds(found.seconds[agreement.signal]),
        )
    print_table(table, console)
    if fidelity.ceiling.lower <= 0:
        say(
            console,
            "The ceiling itself may be zero: these architectures are too much alike, or too few, "
            "for any budget to rank them.",
        )
    for sentence in uses(fidelity.signals):
        say(console, sentence)


def uses(signals: tuple[Agreement, ...]) -> Iterator[str]:
    """What each signal is good for, in sentences; nothing is said that the intervals leave open."""
    named = {
        "Useless here, as tau is not shown to be above zero": [s for s in signals if s.lower <= 0],
        f"Useless here, as {BASELINE} themselves rank as well": [],
        f"Not shown to rank better than {BASELINE} themselves": [],
        f"Better than {BASELINE} themselves": [],
    }
    nothing, no_better, open_, better = named.values()
    for signal in signals:
        above = signal.above_baseline
        if signal in nothing or above is None:
            continue
        (no_better if above.value <= 0 else open_ if above.lower <= 0 else better).append(signal)
    for sentence, of in named.items():
        if of:
            yield f"{sentence}: {'; '.join(signal.signal for signal in of)}."


def _share(agreement: Agreement) -> str:
    if agreement.of_ceiling is None or agreement.of_ceiling_interval is None:
        return ""
    low, high = agreement.of_ceiling_interval
    return f"{agreement.of_ceiling:.0%} ({low:.0%} to {high:.0%})"


def _top(agreement: Agreement) -> str:
    top = agreement.top
    return f"{top.value:.2f} ({top.lower:.2f} to {top.upper:.2f})" if top else ""


def _seconds(seconds: float) -> str:
    if seconds < 0.001:
        return "<0.001"
    return f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.1g}"
