"""Export a trial's network: ``python -m nas.export --study spectrum --output DIR``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nas.architecture.presets import PRESETS
from nas.architecture.reference import Reference
from nas.architecture.references import REFERENCES
from nas.cli import (
    BestOption,
    NoCacheOption,
    OptionalStudyOption,
    StorageOption,
    TrialOption,
    cli_errors,
    command,
    published_network,
    tell,
)
from nas.network.export_published import export_published
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
PRESET_HELP = f"Instead of a study: {', '.join(PRESETS)} [:option=value,...], untrained."
REFERENCE_HELP = f"Instead of a study: {', '.join(REFERENCES)} [:option=value,...], untrained."
CALIBRATION_HELP = "Training images that int8 finds the ranges of activations by."
LOSS_HELP = "Percentage points of accuracy that int8 and int4 may lose."
FEATURES_HELP = "Feature maps of the stem and each block as further outputs of ONNX."
RAW_HELP = "Images as they are stored, (N, H, W, C) uint8, as the input of ONNX."

app = command()


@app.command()
def export(
    output: Annotated[Path, typer.Option(help="Folder of the exported network.")],
    study: OptionalStudyOption = None,
    preset: Annotated[str | None, typer.Option(help=PRESET_HELP)] = None,
    reference: Annotated[str | None, typer.Option(help=REFERENCE_HELP)] = None,
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
        match study, preset or reference:
            case None, str(name) if not (preset and reference):
                _export_published(name, output, options)
                print(f"{name} is in\n{shown_line(str(output))}")
            case str(), None:
                place = locate_study(study, storage)
                records = read_records(place.url, place.name, cache=not no_cache)
                record = choose(records, best, trial)
                export_trial(records, record, place.folder, output, tell, options)
                print(f"trial {record.number} is in\n{shown_line(str(output))}")
            case _:
                raise InputError.of("--study", "expected one of --study, --preset, --reference")


def _export_published(name: str, output: Path, options: FormatOptions) -> None:
    network = published_network(name)
    judged = [n for n in options.names if FORMATS[n].tolerance is None]
    if judged:
        rule = f"{judged[0]} is judged by labelled images, and {name} has none"
        raise InputError.of("--format", rule, "--format pytorch,pt2,onnx")
    if isinstance(network, Reference):
        if len(network.output_shape) > 1:
            rule = "a whole network has classes; this is a part of one"
            raise InputError.of(name, rule, "python -m nas.describe shows it")
        if options.with_features:
            raise InputError.of("--features", f"{name} has no blocks", "name a preset")
    export_published(name, network, output, options)


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
