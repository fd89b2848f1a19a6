"""Export a trial's network: ``python -m nas.export --study spectrum --output DIR``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nas.cli import BestOption, StorageOption, StudyOption, TrialOption, cli_errors, command
from nas.reporting.export_trial import export_trial
from nas.study.location import locate_study
from nas.study.records import read_records
from nas.study.selection import choose

app = command()


@app.command()
def export(
    study: StudyOption,
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    trial: TrialOption = None,
    best: BestOption = "knee",
    storage: StorageOption = None,
) -> None:
    """Write model.py, weights.safetensors, architecture.json and a model card."""
    with cli_errors():
        place = locate_study(study, storage)
        records = read_records(place.url, place.name)
        record = choose(records, best, trial)
        export_trial(records, record, place.folder, output, partial(print, file=sys.stderr))
        print(f"trial {record.number} is in {output}")


if __name__ == "__main__":
    app()
