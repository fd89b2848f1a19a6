"""Write a study's report: ``python -m nas.report --study spectrum``."""

from __future__ import annotations

import sys

from nas.cli import StorageOption, StudyOption, cli_errors, command
from nas.reporting.figures.files import NO_RENDERER, write_images
from nas.reporting.page import report_study
from nas.study.location import locate_study
from nas.study.records import quiet_optuna

app = command()


@app.command()
def report(study: StudyOption, storage: StorageOption = None) -> None:
    """Write report.html and front.csv into the study's folder."""
    with cli_errors():
        quiet_optuna()
        place = locate_study(study, storage)
        written = report_study(place)
        print(place.folder / "report.html")
        if not write_images(written.figures, place.folder / "figures"):
            print(NO_RENDERER, file=sys.stderr)


if __name__ == "__main__":
    app()
