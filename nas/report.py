"""Write a study's report: ``python -m nas.report --study spectrum``."""

from __future__ import annotations

import sys

from nas.analysis.answer import answer_of
from nas.analysis.results import read_results
from nas.cli import StorageOption, StudyOption, cli_errors, command
from nas.reporting.figures.files import NO_RENDERER, write_images
from nas.reporting.page import write_report
from nas.study.importances import parameter_importances
from nas.study.location import locate_study
from nas.study.records import (
    quiet_optuna,
    read_records,
)

app = command()


@app.command()
def report(
    study: StudyOption,
    storage: StorageOption = None,
) -> None:
    """Write report.html and front.csv into the study's folder."""
    with cli_errors():
        quiet_optuna()
        place = locate_study(study, storage)
        records = read_records(place.url, place.name)
        importances = parameter_importances(place.url, place.name)
        results = read_results(place.url, place.name)
        found = answer_of(results)
        drawn = write_report(records, importances, results, found, place.folder)
        print(place.folder / "report.html")
        if not write_images(drawn, place.folder / "figures"):
            print(NO_RENDERER, file=sys.stderr)


if __name__ == "__main__":
    app()
