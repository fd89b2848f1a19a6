"""Write a study's report: ``python -m nas.report --study spectrum``."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nas.analysis.question import NoVerdict
from nas.cli import StorageOption, StudyOption, cli_errors, command, fail
from nas.reporting.budgets_page import report_budgets
from nas.reporting.figures.files import NO_RENDERER, Size, write_study_images
from nas.reporting.page import report_study
from nas.space.errors import InputError
from nas.study.location import locate_study
from nas.study.records import read_records
from nas.study.storage import quiet_optuna

OUTPUT = "Folder for what is written; default: the study's."
SIZE = "Size of the figures in pixels, such as 900x430; a PNG has twice as many."

app = command()


@app.command()
def report(
    study: StudyOption,
    size: Annotated[str | None, typer.Option(metavar="WIDTHxHEIGHT", help=SIZE)] = None,
    output: Annotated[Path | None, typer.Option(help=OUTPUT)] = None,
    storage: StorageOption = None,
) -> None:
    """Write report.html, front.csv and the figures into the study's folder."""
    with cli_errors(), _unanswered():
        quiet_optuna()
        wanted = None if size is None else _size(size)
        place = locate_study(study, storage)
        folder = output or place.folder
        with _written_elsewhere(folder):
            records = read_records(place.url, place.name)
            if records.file.budget_names:
                figures = report_budgets(place, records, folder).figures
            else:
                figures = report_study(place, records, folder).figures
            print(folder / "report.html")
            if not write_study_images(figures, folder / "figures", wanted):
                print(NO_RENDERER, file=sys.stderr)


@contextmanager
def _unanswered() -> Iterator[None]:
    """Of several budgets there is nothing to report before the first training of one."""
    try:
        yield
    except NoVerdict as error:
        raise fail(error) from None


@contextmanager
def _written_elsewhere(folder: Path) -> Iterator[None]:
    """Name the option that helps where a folder cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        message = f"{error.filename or folder} cannot be written: {error.strerror}"
        hint = "write the report into another folder with --output FOLDER"
        raise InputError.of("--output", message, hint) from None


def _size(text: str) -> Size:
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    sides = tuple(map(int, match.groups())) if match else ()
    if not sides or min(sides[0] - 500, sides[1] - 350) < 0 or max(sides) > 4000:
        message = f"expected pixels from 500x350 to 4000x4000; got {text!r}"
        raise InputError.of("--size", message, "write --size 900x430")
    return Size(*sides)


if __name__ == "__main__":
    app()
