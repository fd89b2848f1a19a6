"""Export a trial's network: ``python -m nas.export --study spectrum --output DIR``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nas.cli import (
    BestOption,
    NoCacheOption,
    StorageOption,
    StudyOption,
    TrialOption,
    cli_errors,
    command,
    tell,
)
from nas.network.formats import FORMATS, FormatOptions
from nas.reporting.export_trial import export_trial
from nas.space.errors import InputError
from nas.space.shown_text import shown_line
from nas.study.location import locate_study
from nas.study.records import read_records
from nas.study.selection import choose

FORMAT_HELP = (
    "Any of pytorch, pt2, onnx, int8, pte and int4, with commas; default: the first three."
)
CALIBRATION_HELP = "Training images that int8 finds the ranges of activations by."
LOSS_HELP = "Percentage points of accuracy that int8 and int4 may lose."
FEATURES_HELP = "Feature maps of the stem and each block as further outputs of ONNX."
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
    features: Annotated[bool, typer.Option("--features", help=FEATURES_HELP)] = False,
    calibration: Annotated[
        int | None, typer.Option(min=1, help=CALIBRATION_HELP, show_default="512")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option(min=0, max=100, help=LOSS_HELP, show_default="1.0")
    ] = None,
    no_cache: NoCacheOption = False,
    storage: StorageOption = None,
) -> None:
    """Write model.py, weights.safetensors, architecture.json, a model card, and other formats."""
    with cli_errors():
        options = _options(_formats(formats), with_preprocess, features, calibration, max_loss)
        place = locate_study(study, storage)
        records = read_records(place.url, place.name, cache=not no_cache)
        record = choose(records, best, trial)
        export_trial(records, record, place.folder, output, tell, options)
        print(f"trial {record.number} is in\n{shown_line(str(output))}")


def _options(
    names: tuple[str, ...],
    with_preprocess: bool,
    features: bool,
    calibration: int | None,
    max_loss: float | None,
) -> FormatOptions:
    """Refuses what has no effect on the formats that are written."""
    for option, given, formats in (
        ("--with-preprocess", with_preprocess, ("onnx", "int8")),
        ("--features", features, ("onnx", "int8")),
        ("--calibration", calibration is not None, ("int8",)),
        ("--max-loss", max_loss is not None, ("int8", "int4")),
    ):
        if given and not set(formats) & set(names):
            rule = f"is of {' and '.join(formats)} alone; got {', '.join(('pytorch', *names))}"
            raise InputError.of(option, rule, f"--format {formats[0]}")
    options = FormatOptions(names, with_preprocess, features)
    return replace(
        options,
        calibration=options.calibration if calibration is None else calibration,
        max_loss=options.max_loss if max_loss is None else max_loss,
    )


def _formats(names: str | None) -> tuple[str, ...]:
    """The formats beside ``pytorch``: those that are named, or that can be written here."""
    if names is None:
        return tuple(
            n for n, format_ in FORMATS.items() if format_.by_default and not format_.missing
        )
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
