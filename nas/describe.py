"""Describe a space or an architecture: ``python -m nas.describe search_spaces/spectrum.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nas.architecture.cost import count_cost
from nas.architecture.drawing import draw_architecture
from nas.architecture.layers import network_layers, tabulated
from nas.architecture.modules import Layer, Row
from nas.architecture.reference import Reference
from nas.architecture.references import is_published
from nas.architecture.references.family import FAMILY
from nas.architecture.specification import Architecture
from nas.cli import NAMES, SetOption, cli_errors, command, published_network, read_architecture
from nas.engine import terminal
from nas.reporting.arm_table import arm_table
from nas.space import SearchSpace, load_space
from nas.space.alike_arms import alike_arms
from nas.space.errors import InputError
from nas.space.objectives import OBJECTIVES
from nas.space.quantities import MOST_EXACT, format_count
from nas.study.design import arms_of
from trials.atomic_file import atomic_write_text

app = command()


@app.command()
def describe(
    what: Annotated[
        str,
        typer.Argument(
            help="A search space (.yaml), an architecture (.json), family for a table of published "
            f"networks, or one of them: {NAMES}."
        ),
    ],
    overrides: SetOption = None,
    seed: Annotated[
        int,
        typer.Option(help="Seed of the architecture sampled from a space, at its first budget."),
    ] = 0,
    svg: Annotated[Path | None, typer.Option(help="File to draw the architecture in.")] = None,
) -> None:
    """Show layers with shapes, segments, parameters and MACs; of a space also size and costs."""
    console = terminal.console()
    with cli_errors():
        if what == "family":
            _describe_family(console)
        else:
            _describe(what, overrides or [], seed, svg, console)


def _describe(
    what: str, overrides: list[str], seed: int, svg: Path | None, console: Console
) -> None:
    published = is_published(what) or _is_name(what)
    if overrides and (published or what.endswith(".json")):
        raise InputError.of(
            "--set", f"{what} is not a search space", "it changes values of a .yaml file"
        )
    architecture: Architecture | Reference
    if published:
        architecture = published_network(what)
        if svg is not None and isinstance(architecture, Reference):
            raise InputError.of("--svg", f"{what} has no blocks to draw", "name a preset")
    elif what.endswith(".json"):
        architecture = read_architecture(Path(what))
    else:
        space = load_space(what, overrides)
        _describe_space(space, console)
        architecture = space.budgets[0].sample(seed)
        where = ", at the first budget" if space.file.budget_names else ""
        console.print(f"\nAn architecture of it (--seed {seed}{where}):\n")
    _describe_architecture(architecture, console)
    if svg is not None and isinstance(architecture, Architecture):
        atomic_write_text(svg, draw_architecture(architecture) + "\n")


def _describe_family(console: Console) -> None:
    """Published networks, counted in closed form and, as a second opinion, by ptflops."""
    from nas.network.ptflops import compare_with_ptflops  # loads PyTorch

    table = terminal.plain_table(("network",), ("parameters", "MACs", "as ptflops counts"))
    for name in FAMILY:
        network = published_network(name)
        cost = count_cost(network)
        said = compare_with_ptflops(network)
        counted = "the same" if said.endswith(": the same") else said
        table.add_row(name, f"{cost.params:,}", f"{cost.macs:,}", counted)
    terminal.print_table(table, console)


def _is_name(what: str) -> bool:
    """Whether it is rather a misspelled name than a file that is not there."""
    return what.partition(":")[0].isidentifier() and not Path(what).exists()


def _combinations(space: SearchSpace) -> str:
    """All digits of a number that can be read."""
    size, rounded = space.size, format_count(space.size)
    return rounded if size > MOST_EXACT else f"{size:,} ({rounded})"


def _describe_space(space: SearchSpace, console: Console) -> None:
    what = "images" if len(space.input_shape) == 3 else "clips"
    lowest, highest = space.macs_range
    console.print(f"[bold]{space.file.name}[/bold]")
    rows = [
        (what, f"{' x '.join(map(str, space.input_shape))} in {space.classes} classes"),
        ("combinations", _combinations(space)),
        ("cost at these widths", f"{lowest:,} to {highest:,} MACs"),
        ("budget", _budget(space)),
        ("objectives", ", ".join(space.file.objective_names)),
    ]
    console.print(terminal.facts_table(rows))
    console.print()
    parameters = terminal.plain_table(("parameter", "choices"))
    for parameter in space.parameters:
        shown = [str(c).lower() if isinstance(c, bool) else str(c) for c in parameter.choices]
        if len(shown) > 12:
            shown = [*shown[:5], "...", *shown[-2:]]
        parameters.add_row(parameter.name, ", ".join(shown))
    terminal.print_table(parameters, console)
    if space.file.design is not None:
        for name, design in zip(space.file.budget_names or ("",), space.budgets, strict=True):
            at = f" at {name}" if name else ""
            console.print(f"\nArms of the design{at}:\n")
            terminal.print_table(arm_table(arms_of(design), design), console)
            for line in alike_arms(design):
                console.print(f"note: {line}", soft_wrap=True)


def _budget(space: SearchSpace) -> str:
    file = space.file
    if file.matched is not None:
        objective = OBJECTIVES[file.matched.cost]
        amounts = " and ".join(f"{budget:,.10g}" for budget in file.matched.budgets)
        solved = f"{amounts} {objective.unit} within {file.matched.tolerance:.2%}"
        when = "" if objective.counted else ", measured when the search starts"
        return f"{solved}: widths are solved{when}"
    limits = [f"at most {most:,} {OBJECTIVES[name].unit}" for name, most in file.limits.items()]
    if file.latency_ms is not None:
        limits.append(f"at most {file.latency_ms.at_most:g} ms, measured")
    if limits:
        return f"{', '.join(limits)}; architectures above are rejected before training"
    return "none"


def _describe_architecture(architecture: Architecture | Reference, console: Console) -> None:
    headings = ("in", "out", "size", "kernel", "segments", "params", "MACs")
    table = terminal.plain_table(("layer",), headings)
    for name, layer, row in tabulated(network_layers(architecture)):
        table.add_row(name.replace(".branch", ""), *_cells(layer, row))
    terminal.print_table(table, console)
    cost = count_cost(architecture)
    console.print(
        f"\n{cost.params:,} parameters, {cost.macs:,} MACs ({cost.flops:,} FLOPs), "
        f"{cost.activations:,} activations, key {architecture.key}",
        soft_wrap=True,
    )
    from nas.network.ptflops import compare_with_ptflops  # loads PyTorch

    console.print(compare_with_ptflops(architecture))


def _cells(layer: Layer, row: Row) -> tuple[str, ...]:
    has_kernel = row.kind in ("convolution", "max pool", "average pool")
    size = (row.kernel,) * len(layer.output[1:]) if isinstance(row.kernel, int) else row.kernel
    stride = f" / {row.stride}" if row.stride > 1 else ""
    return (
        str(layer.input[0]),
        str(layer.output[0]),
        " x ".join(map(str, layer.output[1:])),
        f"{' x '.join(map(str, size))}{stride}" if has_kernel else "",
        str(row.segments) if row.kind == "convolution" else "",
        f"{layer.params:,}" if layer.params else "",
        f"{layer.macs:,}" if layer.macs else "",
    )


if __name__ == "__main__":
    app()
