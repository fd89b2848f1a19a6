"""Rank agreement on the terminal."""

from __future__ import annotations

from rich.console import Console

from nas.engine.terminal import plain_table, print_table
from nas.statistics.rank_agreement import Agreement, Fidelity


def print_fidelity(found: Fidelity, epochs: int, longer: int, console: Console) -> None:
    """Print each signal's agreement with the longer trainings, and the ceiling."""
    console.print(
        f"{found.architectures} architectures, {epochs} epochs against {longer}, "
        f"Kendall's tau with 95% intervals over architectures"
    )
    table = plain_table(("signal",), ("tau", "interval", "of the ceiling"))
    for agreement in (found.ceiling, *found.signals):
        table.add_row(
            agreement.signal,
            f"{agreement.tau:.2f}",
            f"{agreement.lower:.2f} to {agreement.upper:.2f}",
            _share(agreement),
        )
    print_table(table, console)
    if found.signals[0].of_ceiling is None:
        console.print(
            "The ceiling itself may be zero: these architectures are too much alike, or too few, "
            "for any budget to rank them."
        )


def _share(agreement: Agreement) -> str:
    if agreement.of_ceiling is None or agreement.of_ceiling_interval is None:
        return ""
    low, high = agreement.of_ceiling_interval
    return f"{agreement.of_ceiling:.0%} ({low:.0%} to {high:.0%})"
