"""The answer of a study: ``python -m nas.verdict --study matched``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.analysis.answer import answer
from nas.analysis.budgets import (
    BudgetsResults,
    answer_budgets,
    published_budgets,
    read_budgets,
)
from nas.analysis.published import published_results
from nas.analysis.question import NoVerdict
from nas.analysis.results import StudyResults, read_results
from nas.cli import OptionalStudyOption, StorageOption, cli_errors, command, fail
from nas.engine import terminal
from nas.reporting.answer_console import print_answer, print_budgets
from nas.space.errors import InputError
from nas.study.location import locate_study
from nas.study.records import read_records

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
        results = _published(published) if published is not None else _read(str(study), storage)
        planned = None if delta is None else delta / 100
        try:
            if isinstance(results, BudgetsResults):
                print_budgets(answer_budgets(results, planned, alpha), terminal.console())
            else:
                print_answer(answer(results, planned, alpha), terminal.console())
        except (NoVerdict, ValueError) as error:
            raise fail(error) from None
        if figures is not None:
            draw(results, figures)


def _published(folder: Path) -> StudyResults | BudgetsResults:
    return published_budgets(folder) or published_results(folder)


def _read(study: str, storage: str | None) -> StudyResults | BudgetsResults:
    place = locate_study(study, storage)
    records = read_records(place.url, place.name)
    if records.file.budget_names:
        return read_budgets(place, records)
    return read_results(place.url, place.name, records)


def draw(results: StudyResults | BudgetsResults, folder: Path) -> None:
    """Draw what a study shows of its arms; of several budgets each one's in a folder of its own."""
    # Plotly loads for a second.
    from nas.reporting.budgets_page import budgets_figures
    from nas.reporting.figures import arm_figures
    from nas.reporting.figures.files import NO_RENDERER, write_images

    if isinstance(results, BudgetsResults):
        drawn = budgets_figures(answer_budgets(results))
        for budget, of_budget in results.of_budgets.items():
            draw(of_budget, folder / budget)
    else:
        drawn = arm_figures(results)
    if not write_images(drawn, folder):
        raise fail(NO_RENDERER, "install chromium")
    print(f"{', '.join(drawn)} as PNG, SVG and PDF are in\n{folder}")


if __name__ == "__main__":
    app()
