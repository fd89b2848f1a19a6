"""The answer of a study: ``python -m nas.verdict --study matched``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from nas.analysis.answer import Answer, NoVerdict, answer
from nas.analysis.results import StudyResults, published_results, read_results
from nas.cli import cli_errors, command, fail
from nas.reporting import answer_text
from nas.space.errors import InputError
from nas.study.location import locate_study

app = command()


@app.command()
def verdict(
    study: Annotated[
        str | None, typer.Option(help="Name under runs/, or a study's folder.")
    ] = None,
    published: Annotated[
        Path | None,
        typer.Option(help="Folder with published measurements, instead of a study's database."),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Percentage points; default: as planned.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Default: as planned.")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder to draw the figures into, as PNG and SVG.")
    ] = None,
    storage: Annotated[str | None, typer.Option(help="Database URL, or $NAS_STORAGE.")] = None,
) -> None:
    """Say whether points between the ends of the spectrum win, and what that rests on."""
    with cli_errors():
        if (study is None) == (published is None):
            raise InputError.of("--study", "one of --study and --published is needed")
        if published is not None:
            results = published_results(published)
        else:
            place = locate_study(str(study), storage)
            results = read_results(place.url, place.name)
        try:
            found = answer(results, None if delta is None else delta / 100, alpha)
        except (NoVerdict, ValueError) as error:
            raise fail(error) from None
        show(found, Console(highlight=False))
        if figures is not None:
            draw(results, figures)


def draw(results: StudyResults, folder: Path) -> None:
    """Draw what a study shows of its arms."""
    # Plotly loads for a second.
    from nas.reporting.figures.files import NO_RENDERER, write_images
    from nas.reporting.page import arm_figures

    drawn = arm_figures(results)
    if not write_images(drawn, folder):
        raise fail(NO_RENDERER, "install chromium")
    print(f"figures: {', '.join(f'{name}.png, {name}.svg' for name in drawn)} in {folder}")


def show(found: Answer, console: Console) -> None:
    """Print an answer."""
    if not console.is_terminal:
        console.width = 180  # nothing to fit into: no column is cut
    console.print(
        Panel(escape(answer_text.headline(found)), title=escape(found.study), box=box.ROUNDED)
    )
    grid = Table.grid(padding=(0, 2))
    for name, text in answer_text.facts(found):
        grid.add_row(name, escape(text))
    console.print(grid)
    console.print()
    console.print(_table(answer_text.arms_table(found)))
    console.print()
    console.print(_table(answer_text.speed_table(found.rows)))
    if found.controls:
        console.print()
        console.print(_table(answer_text.controls_table(found.controls)))


def _table(table: answer_text.Table) -> Table:
    heads, rows = table
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for position, head in enumerate(heads):
        shown.add_column(head, no_wrap=position == 0)
    for row in rows:
        shown.add_row(*map(escape, row))
    return shown


if __name__ == "__main__":
    app()
