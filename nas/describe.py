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
from nas.architecture.presets import PRESETS, preset
from nas.architecture.specification import Architecture
from nas.cli import SetOption, cli_errors, command, read_architecture
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
            help=f"A search space (.yaml), an architecture (.json) or {' or '.join(PRESETS)}."
        ),
    ],
    overrides: SetOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the architecture sampled from a space.")] = 0,
    svg: Annotated[Path | None, typer.Option(help="File to draw the architecture in.")] = None,
) -> None:
    """Show layers with shapes, segments, parameters and MACs; of a space also size and costs."""
    console = terminal.console()
    with cli_errors():
        if overrides and (what in PRESETS or what.endswith(".json")):
            raise InputError.of(
                "--set", f"{what} is not a search space", "it changes values of a .yaml file"
            )
        if what in PRESETS:
            architecture = preset(what)
        elif what.endswith(".json"):
            architecture = read_architecture(Path(what))
        else:
            space = load_space(what, overrides or ())
            _describe_space(space, console)
            architecture = space.sample(seed)
            console.print(f"\nAn architecture of it (--seed {seed}):\n")
        _describe_architecture(architecture, console)
        if svg is not None:
            atomic_write_text(svg, draw_architecture(architecture) + "\n")


def _combinations(space: SearchSpace) -> str:
    """All digits of a number that can be read."""
    size, rounded = space.size, format_count(space.size)
    return rounded if size > MOST_EXACT else f"{size:,} ({rounded})"


def _describe_space(space: SearchSpace, console: Console) -> None:
    channels, height, width = space.input_shape
    lowest, highest = space.macs_range
    console.print(f"[bold]{space.file.name}[/bold]")
    rows = [
        ("images", f"{channels} x {height} x {width} in {space.classes} classes"),
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
        console.print("\nArms of the design:\n")
        terminal.print_table(arm_table(arms_of(space), space), console)
        for line in alike_arms(space):
            console.print(f"note: {line}", soft_wrap=True)


def _budget(space: SearchSpace) -> str:
    file = space.file
    if file.matched is not None:
        objective = OBJECTIVES[file.matched.cost]
        solved = f"{file.matched.wanted:,.10g} {objective.unit} within {file.matched.tolerance:.2%}"
        when = "" if objective.counted else ", measured when the search starts"
        return f"{solved}: widths are solved{when}"
    limits = [f"at most {most:,} {OBJECTIVES[name].unit}" for name, most in file.limits.items()]
    if file.latency_ms is not None:
        limits.append(f"at most {file.latency_ms.at_most:g} ms, measured")
    if limits:
        return f"{', '.join(limits)}; architectures above are rejected before training"
    return "none"


def _describe_architecture(architecture: Architecture, console: Console) -> None:
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
    stride = f" / {row.stride}" if row.stride > 1 else ""
    return (
        str(layer.input[0]),
        str(layer.output[0]),
        " x ".join(map(str, layer.output[1:])),
        f"{row.kernel} x {row.kernel}{stride}" if has_kernel else "",
        str(row.segments) if row.kind == "convolution" else "",
        f"{layer.params:,}" if layer.params else "",
        f"{layer.macs:,}" if layer.macs else "",
    )


if __name__ == "__main__":
    app()
