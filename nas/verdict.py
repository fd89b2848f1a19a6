"""The answer of a study: ``python -m nas.verdict --study matched``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.analysis.answer import answer
from nas.analysis.published import published_results
from nas.analysis.question import NoVerdict
from nas.analysis.results import StudyResults, read_results
from nas.cli import OptionalStudyOption, StorageOption, cli_errors, command, fail
from nas.engine import terminal
from nas.reporting.answer_console import print_answer
from nas.space.errors import InputError
from nas.study.location import locate_study

DELTA = "Advantage that the claim asks for, in percentage points; default: as planned."
ALPHA = "Accepted probability of a wrong verdict; default: as planned."

app = command()


@app.command()
def verdict(
    study: OptionalStudyOption = None,
    published: Annotated[
        Path | None,
        typer.Option(help="Folder with published measurements, instead of a study's database."),
    ] = None,
    delta: Annotated[float | None, typer.Option(help=DELTA)] = None,
    alpha: Annotated[float | None, typer.Option(help=ALPHA)] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for the figures, as PNG, SVG and PDF.")
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Judge a study's pre-registered claim by a paired comparison at matched MACs.

    The best point between the ends of the spectrum is compared with all ends, on fresh seeds.
    """
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
        print_answer(found, terminal.console())
        if figures is not None:
            draw(results, figures)


def draw(results: StudyResults, folder: Path) -> None:
    """Draw what a study shows of its arms."""
    # Plotly loads for a second.
    from nas.reporting.figures import arm_figures
    from nas.reporting.figures.files import NO_RENDERER, write_images

    drawn = arm_figures(results)
    if not write_images(drawn, folder):
        raise fail(NO_RENDERER, "install chromium")
    print(f"{', '.join(drawn)} as PNG, SVG and PDF are in\n{folder}")


if __name__ == "__main__":
    app()
