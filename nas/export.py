"""Export a trial's network: ``python -m nas.export --study spectrum --output DIR``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nas.cli import BestOption, StorageOption, StudyOption, TrialOption, cli_errors, command
from nas.network.formats import FORMATS
from nas.reporting.export_trial import export_trial
from nas.space.errors import InputError
from nas.study.location import locate_study
from nas.study.records import read_records
from nas.study.selection import choose

FORMAT_HELP = "Formats, with commas: pytorch, pt2, onnx; default: all that can be written here."
RAW_HELP = "Images as they are stored, (N, H, W, C) uint8, as the input of ONNX."

app = command()


@app.command()
def export(
    study: StudyOption,
    output: Annotated[Path, typer.Option(help="Folder of the exported network.")],
    trial: TrialOption = None,
    best: BestOption = "knee",
    formats: Annotated[str | None, typer.Option("--format", help=FORMAT_HELP)] = None,
    with_preprocess: Annotated[bool, typer.Option("--with-preprocess", help=RAW_HELP)] = False,
    storage: StorageOption = None,
) -> None:
    """Write model.py, weights.safetensors, architecture.json, a model card, and other formats."""
    with cli_errors():
        wanted = _formats(formats)
        place = locate_study(study, storage)
        records = read_records(place.url, place.name)
        record = choose(records, best, trial)
        say = partial(print, file=sys.stderr)
        export_trial(records, record, place.folder, output, say, wanted, with_preprocess)
        print(f"trial {record.number} is in {output}")


def _formats(names: str | None) -> tuple[str, ...]:
    """The formats beside ``pytorch``: those that are named, or that can be written here."""
    if names is None:
        return tuple(name for name, format_ in FORMATS.items() if not format_.missing)
    wanted = tuple(dict.fromkeys(name.strip() for name in names.split(",")))
    known = ("pytorch", *FORMATS)
    for name in wanted:
        if name not in known:
            hint = f"any of {', '.join(known)}, separated by commas"
            raise InputError.of("--format", f"no such format: {name}", hint)
        if name in FORMATS and (missing := FORMATS[name].missing):
            hint = f"pip install 'separability-nas[{FORMATS[name].extra}]'"
            raise InputError.of("--format", f"{name} needs {', '.join(missing)}", hint)
    return tuple(name for name in wanted if name in FORMATS)


if __name__ == "__main__":
    app()
