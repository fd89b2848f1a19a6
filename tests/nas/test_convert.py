"""Weights from Keras and back: outputs agree with Keras' own, and the mistakes are told apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import pytest
import torch
from torch import nn

from nas.convert import app
from nas.network.build import build_network
from nas.network.keras_files import read_weights
from nas.network.keras_layers import keras_layers
from nas.network.keras_presets import GOES_BACK, keras_architecture
from tests.nas.commands import run
from tests.nas.exporting import imported
from tests.nas.keras_networks import TOLERANCE, deviation, keras, logits, trained_like

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # in Keras on NumPy 2

EPSILON = 1e-3
"""Of Keras' batch norms."""


@dataclass(frozen=True)
class Published:
    """A network of `keras.applications`.

    Attributes:
        sizes: of images, one of them odd.
        keras_options, options: beside classes and size, there and here.
        formats: that are read; a file has 84 MB, but for MobileNet.
        wrong: options with which the network here computes something else.
    """

    function: str
    sizes: tuple[int, int]
    keras_options: Mapping[str, float] = field(default_factory=dict)
    options: str = ""
    formats: tuple[str, ...] = ("saved.h5",)
    wrong: tuple[str, ...] = ("padding=symmetric",)


PUBLISHED = {
    "xception": Published("Xception", (96, 71)),
    "mobilenet": Published(
        "MobileNet", (64, 75), {"alpha": 0.25}, ",alpha=0.25",
        formats=("saved.weights.h5", "saved.h5", "weights.h5"),
        wrong=("padding=symmetric", "padding=tensorflow", "activation=relu"),
    ),
    "inception_v3": Published("InceptionV3", (128, 107), wrong=("pool_counts_padding=true",)),
}  # fmt: skip


class Kept:
    """A network of Keras, saved, and its logits at both sizes."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.published = name, folder, PUBLISHED[name]
        make = getattr(keras().applications, self.published.function)
        options = {"weights": None, "classes": 5, "classifier_activation": None}
        options |= self.published.keras_options
        first, second = self.published.sizes
        self.network = trained_like(make(input_shape=(first, first, 3), **options), first)
        other = make(input_shape=(second, second, 3), **options)
        other.set_weights(self.network.get_weights())
        self.logits = {first: logits(self.network, first), second: logits(other, second)}
        self.network.save(folder / "saved.keras")

    def preset(self, more: str = "") -> str:
        size = self.published.sizes[0]
        return f"{self.name}:classes=5,image_size={size}{self.published.options}{more}"

    def converted(self, more: str = "", file: str = "saved.keras") -> nn.Module:
        network = build_network(keras_architecture(self.preset(more)))
        read_weights(self.folder / file, keras_layers(network), EPSILON)
        return network

    def deviation(self, network: nn.Module) -> float:
        """At the size where it is largest."""
        return max(deviation(network, found, size) for size, found in self.logits.items())


@pytest.fixture(scope="module", params=PUBLISHED)
def kept(request, tmp_path_factory):
    return Kept(request.param, tmp_path_factory.mktemp(request.param))


def test_outputs_are_those_of_keras_at_an_even_and_an_odd_size(kept):
    """By the whole command, and from the exported folder."""
    arguments = ("--preset", kept.preset(), "--output", "out")
    run(app, "--from-keras", kept.folder / "saved.keras", *arguments)
    model = imported(Path("out"))
    assert kept.deviation(model.load()) < TOLERANCE
    pixels = torch.full((1, 8, 8, 3), 255, dtype=torch.uint8)
    assert model.preprocess(pixels).unique().item() == 1


def test_a_network_that_computes_otherwise_would_be_told(kept):
    for option in kept.published.wrong:
        assert kept.deviation(kept.converted(f",{option}")) > 10 * TOLERANCE, option
    network = kept.converted()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5
    assert kept.deviation(network) > 10 * TOLERANCE


def test_each_format_has_the_same_weights(kept):
    expected = kept.converted().state_dict()
    for name in kept.published.formats:
        save(kept.network, kept.folder / name)
        for key, tensor in kept.converted(file=name).state_dict().items():
            assert torch.equal(expected[key], tensor), (name, key)


def save(network, file: Path) -> None:
    if file.name == "saved.weights.h5":
        network.save_weights(file)
    elif file.name == "weights.h5":  # as Keras 2 saved weights
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

        with h5py.File(file, "w") as opened:
            save_weights_to_hdf5_group(opened, network)
    else:
        network.save(file)


def test_layers_are_found_whatever_their_names(kept):
    """As in a network of somebody's own, where Keras numbers them through the whole process."""
    config = kept.network.get_config()
    names = {
        layer["config"]["name"]: f"{layer['class_name'].lower()}_{number}"
        for number, layer in enumerate(config["layers"], 37)
    }

    def other(value):
        if isinstance(value, dict):
            return {key: other(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [other(inner) for inner in value]
        return names.get(value, value) if isinstance(value, str) else value

    renamed = keras().Model.from_config(other(json.loads(json.dumps(config))))
    renamed.set_weights(kept.network.get_weights())
    renamed.save(kept.folder / "renamed.keras")
    assert kept.deviation(kept.converted(file="renamed.keras")) < TOLERANCE


def test_weights_go_back_to_keras(kept):
    arguments = ("--preset", kept.preset(), "--output", "out")
    run(app, "--from-keras", kept.folder / "saved.keras", *arguments)
    if kept.name not in GOES_BACK:
        result = run(app, "--to-keras", "back.h5", "--model", "out", status=2)
        assert "weights are written for Keras' xception and mobilenet" in result.stderr
        return
    fresh = keras().Model.from_config(kept.network.get_config())
    for file in ("back.weights.h5", "back.h5"):
        result = run(app, "--to-keras", file, "--model", "out")
        assert f"the weights of {kept.name} are in" in result.stdout
        fresh.set_weights([0 * weight for weight in fresh.get_weights()])
        fresh.load_weights(file)
        for mine, theirs in zip(fresh.get_weights(), kept.network.get_weights(), strict=True):
            assert (mine == theirs).all()
