"""Latency of networks side by side: ``python -m nas.latency best --runtime eager,onnx``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nas.architecture.reference import Reference
from nas.architecture.references import is_published
from nas.architecture.specification import Architecture
from nas.cli import (
    NAMES,
    OptionalStudyOption,
    StorageOption,
    Style,
    StyleOption,
    cli_errors,
    command,
    published_network,
    read_architecture,
)
from nas.engine import terminal
from nas.engine.environment import processor_name
from nas.engine.lock import DriverLock
from nas.engine.terminal import plain_cell
from nas.network.build import build_network
from nas.network.exported_model import load_module, loaded
from nas.network.formats import FORMATS
from nas.network.latency import (
    EAGER,
    LAYOUTS,
    RUNTIMES,
    Setting,
    TimedNetwork,
    settings_of,
    time_networks,
)
from nas.space.errors import InputError
from nas.study.location import StudyPlace, locate_study
from nas.study.records import read_records
from trials.interleaved import ROUNDS, Quartiles
from trials.timings import Timing, add_timings

MODELS = f"Folders of exported networks, architectures (.json) or networks: {NAMES}."
FRONT = "Of the study, the trials of its front alone."
THREADS = "Threads of the runtime, with commas."
BATCH = "Images at once, with commas."
RUNTIME = f"Any of {', '.join(RUNTIMES)}, with commas."
LAYOUT = f"Of images in memory, for eager: {' or '.join(LAYOUTS)}, or both with a comma."

Row = tuple[TimedNetwork, Setting, Quartiles]

app = command()


@app.command()
def latency(
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL...", help=MODELS)] = None,
    study: OptionalStudyOption = None,
    front: Annotated[bool, typer.Option("--front", help=FRONT)] = False,
    threads: Annotated[str, typer.Option(help=THREADS)] = "1",
    batch: Annotated[str, typer.Option(help=BATCH)] = "1",
    runtime: Annotated[str, typer.Option(help=RUNTIME)] = EAGER,
    layout: Annotated[str, typer.Option(help=LAYOUT)] = "channels_last",
    style: StyleOption = Style.table,
    storage: StorageOption = None,
) -> None:
    """Measure latency on this machine's CPU; of a study's networks it is written to the study."""
    with cli_errors():
        settings = settings_of(
            _runtimes(runtime),
            _counts("--threads", threads),
            _counts("--batch", batch),
            _names("--layout", layout, LAYOUTS),
        )
        if front and study is None:
            raise InputError.of("--front", "whose front?", "name a study with --study")
        networks = [_network(model) for model in models or ()]
        if study is None:
            if not networks:
                raise InputError.of("MODEL", "there is nothing to measure", MODELS)
            rows = _measure(networks, settings)
        else:
            rows = _measure_study(locate_study(study, storage), front, networks, settings)
        _print(rows, style)


def _measure(networks: Sequence[TimedNetwork], settings: Sequence[Setting]) -> list[Row]:
    console = terminal.console(stderr=True)
    with console.status("preparing") as status:
        return time_networks(
            networks, settings, lambda number: status.update(f"round {number + 1} of {ROUNDS}")
        )


def _measure_study(
    place: StudyPlace, front: bool, others: Sequence[TimedNetwork], settings: Sequence[Setting]
) -> list[Row]:
    """With new weights, for these do not count. Nobody searches the study meanwhile."""
    with DriverLock(place.url, place.name):
        records = read_records(place.url, place.name)
        chosen = records.front if front else records.complete
        networks = [_built(f"trial {trial.number}", trial.architecture) for trial in chosen]
        if not networks:
            raise InputError.of("--study", f"{place.name} has no complete trial")
        rows = _measure([*others, *networks], settings)
        theirs = {network.key for network in networks}
        device = processor_name()
        timings = [
            Timing(network.key, device, **asdict(setting), **asdict(quartiles))
            for network, setting, quartiles in rows
            if network.key in theirs
        ]
        add_timings(place.url, timings)
    return rows


def _network(model: str) -> TimedNetwork:
    if is_published(model):
        return _built(model, published_network(model))
    path = Path(model)
    if path.suffix == ".json":
        return _built(model, read_architecture(path))
    if not (path / "model.py").is_file():
        raise InputError.of(model, "is no folder with a model.py", MODELS)
    described = (path / "architecture.json").exists()  # not of a reference
    architecture = read_architecture(path / "architecture.json") if described else None
    module = load_module(path)
    network = loaded(path / "weights.safetensors", lambda file: module.load(file))
    key = architecture.key if architecture else module.ARCHITECTURE
    shape = architecture.input_shape if architecture else (len(module.MEAN), *module.SIZE)
    return TimedNetwork(model, key, network, shape, path)


def _built(name: str, architecture: Architecture | Reference) -> TimedNetwork:
    network = build_network(architecture).eval()
    return TimedNetwork(name, architecture.key, network, architecture.input_shape)


def _runtimes(text: str) -> list[str]:
    names = _names("--runtime", text, RUNTIMES)
    for name in names:
        if name in FORMATS and (missing := FORMATS[name].missing):
            hint = f"pip install 'separability-nas[{FORMATS[name].extra}]'"
            raise InputError.of("--runtime", f"{name} needs {', '.join(missing)}", hint)
    return names


def _names(option: str, text: str, known: Collection[str]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known:
            hint = f"any of {', '.join(known)}, separated by commas"
            raise InputError.of(option, f"there is no {name!r}", hint)
    return names


def _counts(option: str, text: str) -> list[int]:
    counts = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for count in counts:
        if not (count.isdecimal() and 1 <= int(count) <= 4096):
            raise InputError.of(option, f"numbers from 1 to 4096, with commas; got {text!r}")
    return [int(count) for count in counts]


def _cells(rows: Sequence[Row]) -> Iterator[dict[str, object]]:
    for network, setting, quartiles in rows:
        rate = setting.batch / quartiles.median_ms * 1e3
        yield {"network": network.name} | asdict(setting) | asdict(quartiles) | {"images_s": rate}


def _print(rows: Sequence[Row], style: Style) -> None:
    cells = list(_cells(rows))
    if style is Style.json:
        print(json.dumps(cells, indent=2, ensure_ascii=False))
    elif style is Style.csv:
        writer = csv.DictWriter(sys.stdout, list(cells[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(cells)
    else:
        numbers = ("threads", "batch", "median ms", "quartiles ms", "images/s")
        table = terminal.plain_table(("network",), numbers, whole=("runtime", "layout"))
        for network, setting, found in rows:
            table.add_row(
                plain_cell(network.name), setting.runtime, setting.layout, str(setting.threads),
                str(setting.batch), f"{found.median_ms:.3g}",
                f"{found.first_ms:.3g} to {found.third_ms:.3g}",
                f"{setting.batch / found.median_ms * 1e3:,.0f}",
            )  # fmt: skip
        terminal.print_table(table, terminal.console())


if __name__ == "__main__":
    app()
