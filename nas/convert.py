"""Weights from Keras and back: ``python -m nas.convert --from-keras FILE --preset xception``."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn

from nas.architecture.cost import count_cost
from nas.architecture.layers import network_layers
from nas.architecture.presets import PresetError
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture, ArchitectureError, Shape
from nas.cli import cli_errors, command, read_architecture
from nas.network.build import build_network
from nas.network.export import export_network
from nas.network.exported_model import NoModel, load_module, loaded
from nas.network.keras_layers import KerasFileError, keras_layers
from nas.network.keras_presets import (
    GOES_BACK,
    KERAS_OPTIONS,
    keras_architecture,
    keras_name_of,
)
from nas.network.source import Provenance
from nas.reporting.rendering import render_markdown
from nas.space.errors import InputError
from nas.space.shown_text import shown_line

FROM_HELP = "A file of Keras: .keras, .weights.h5 or an older .h5."
PRESET_HELP = (
    f"Which network it is of: {', '.join(KERAS_OPTIONS)}, with options as in xception:classes=10."
)
TO_HELP = "A file of weights for Keras, .weights.h5 or .h5, to be written."

_MIDDLE = 127.5
"""Of pixels from 0 to 255: Keras scales them to -1 to 1 for all of these networks."""

app = command()


@app.command()
def convert(
    from_keras: Annotated[Path | None, typer.Option(help=FROM_HELP)] = None,
    preset: Annotated[str | None, typer.Option(help=PRESET_HELP)] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the exported network.")] = None,
    to_keras: Annotated[Path | None, typer.Option(help=TO_HELP)] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of an exported network.")] = None,
) -> None:
    """Export a network with the weights of a Keras file; or write an export's weights for Keras."""
    with cli_errors():
        for option, file in (("--from-keras", from_keras), ("--to-keras", to_keras)):
            if file is not None and importlib.util.find_spec("h5py") is None:
                raise InputError.of(option, "needs h5py", "pip install 'separability-nas[keras]'")
        match from_keras, preset, output, to_keras, model:
            case Path() as file, str(name), Path() as folder, None, None:
                _from_keras(file, name, folder)
                print(f"{name} is in\n{shown_line(str(folder))}")
            case None, None, None, Path() as file, Path() as folder:
                name = _to_keras(folder, file)
                print(f"the weights of {name} are in\n{shown_line(str(file))}")
            case _:
                rule = "expected --from-keras, --preset and --output, or --to-keras and --model"
                raise InputError.of("options", rule)


def _from_keras(file: Path, name: str, folder: Path) -> None:
    from nas.network.keras_files import read_weights  # h5py is an extra's

    try:
        architecture = keras_architecture(name)
    except PresetError as error:
        raise InputError.of("--preset", str(error), error.hint) from None
    except ArchitectureError as error:
        raise InputError.of("--preset", str(error)) from None
    network = build_network(architecture).eval()
    try:
        read_weights(file, keras_layers(network), _norm_epsilon(network))
    except KerasFileError as error:
        raise InputError.of(str(file), str(error), error.hint) from None
    _check_outputs(file, network, architecture.input_shape)
    provenance, card = _described(file, name, architecture)
    export_network(architecture, network, folder, provenance, card)


def _norm_epsilon(network: nn.Module) -> float:
    return next(module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d))


@torch.inference_mode()
def _check_outputs(file: Path, network: nn.Module, shape: Shape) -> None:
    random = torch.Generator().manual_seed(0)
    outputs = network(torch.randn(2, *shape, generator=random))
    if not outputs.isfinite().all():
        rule = "with these weights outputs are finite; got nan or infinity"
        raise InputError.of(str(file), rule, "the file is damaged, or its training diverged")


def _described(
    file: Path, name: str, architecture: Architecture | Reference
) -> tuple[Provenance, str]:
    """What source and card say of a converted network."""
    cost, title = count_cost(architecture), f"{name}, with weights from Keras"
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    channels, height, width = architecture.input_shape
    provenance = Provenance(
        title=title,
        summary=(
            f"{cost.macs:,} multiply-accumulates, {cost.params:,} parameters.",
            f"Weights of {shown_line(file.name)}, SHA-256 {digest}.",
        ),
        mean=(_MIDDLE,) * channels,
        std=(_MIDDLE,) * channels,
        resize="stretch",  # as Keras' `load_img` and `image_dataset_from_directory` do
    )
    card = render_markdown(
        "converted.md.j2",
        title=title,
        file=file.name,
        digest=digest,
        cost=cost,
        height=height,
        width=width,
        classes=network_layers(architecture).output[0],
    )
    return provenance, card


def _to_keras(folder: Path, file: Path) -> str:
    from nas.network.keras_writing import write_weights  # h5py is an extra's

    try:
        module = load_module(folder)
        network = loaded(folder / "weights.safetensors", module.load)
    except NoModel as error:
        raise InputError.of("--model", str(error)) from None
    described = folder / "architecture.json"  # a reference's export has none
    architecture = read_architecture(described) if described.is_file() else None
    name = keras_name_of(architecture) if architecture else None
    if architecture is None or name is None or architecture.key != module.ARCHITECTURE:
        rule = f"weights are written for Keras' {' and '.join(GOES_BACK)}"
        raise InputError.of("--model", f"{rule}; got another network, {module.ARCHITECTURE}")
    try:
        write_weights(file, keras_layers(network), convolution_head=name == "mobilenet")
    except KerasFileError as error:
        raise InputError.of("--to-keras", str(error), error.hint) from None
    return name


if __name__ == "__main__":
    app()
