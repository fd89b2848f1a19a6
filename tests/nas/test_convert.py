"""Weights from Keras and back: outputs agree with Keras' own, and the mistakes are told apart."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
import torch

from nas.architecture.specification import Architecture
from nas.convert import app
from nas.network.build import build_network
from nas.network.keras_files import read_weights
from nas.network.keras_layers import keras_layers
from nas.network.keras_presets import keras_architecture
from tests.nas.commands import run
from tests.nas.exporting import imported
from tests.nas.keras_networks import TOLERANCE, deviation, keras, logits, trained_like

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # in Keras on NumPy 2

FORMATS = {
    "xception": ("saved.keras", "saved.h5"),  # 84 MB each
    "mobilenet": ("saved.keras", "saved.weights.h5", "saved.h5", "weights.h5"),
}
EPSILON = 1e-3
"""Of Keras' batch norms."""


@pytest.fixture(scope="module", params=["xception", "mobilenet"])
def kept(request, tmp_path_factory):
    return Kept(request.param, tmp_path_factory.mktemp(request.param))


class Kept:
    """A network of Keras, saved in each format, and its logits at two sizes, one of them odd."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.sizes, more = {"xception": ((96, 71), {}), "mobilenet": ((64, 75), {"alpha": 0.25})}[
            name
        ]
        made = {"xception": "Xception", "mobilenet": "MobileNet"}[name]
        networks = [
            getattr(keras().applications, made)(
                weights=None,
                input_shape=(size, size, 3),
                classes=5,
                classifier_activation=None,
                **more,
            )
            for size in self.sizes
        ]
        self.network = trained_like(networks[0], self.sizes[0])
        networks[1].set_weights(self.network.get_weights())
        self.logits = [
            logits(network, size) for network, size in zip(networks, self.sizes, strict=True)
        ]
        self.network.save(folder / "saved.keras")

    def preset(self, size: int, more: str = "") -> str:
        width = ",width=0.25" if self.name == "mobilenet" else ""
        return f"{self.name}:classes=5,image_size={size}{width}{more}"

    def converted(self, architecture: Architecture, file: str = "saved.keras"):
        network = build_network(architecture)
        read_weights(self.folder / file, keras_layers(network), EPSILON)
        return network

    def deviations(self, network: torch.nn.Module) -> list[float]:
        pairs = zip(self.logits, self.sizes, strict=True)
        return [deviation(network, expected, size) for expected, size in pairs]


def test_outputs_are_those_of_keras_at_an_even_and_an_odd_size(kept):
    """By the whole command, and from the exported folder."""
    arguments = ("--preset", kept.preset(kept.sizes[0]), "--output", "out")
    run(app, "--from-keras", kept.folder / "saved.keras", *arguments)
    model = imported(Path("out"))
    assert max(kept.deviations(model.load())) < TOLERANCE
    pixels = torch.full((1, 8, 8, 3), 255, dtype=torch.uint8)
    assert model.preprocess(pixels).unique().item() == 1


@pytest.mark.parametrize("option", ["norm_epsilon=1e-5", "padding=symmetric"])
def test_a_network_with_another_option_would_be_told(kept, option):
    architecture = keras_architecture(kept.preset(kept.sizes[0], f",{option}"))
    assert max(kept.deviations(kept.converted(architecture))) > 100 * TOLERANCE


def test_each_format_has_the_same_weights(kept):
    architecture = keras_architecture(kept.preset(kept.sizes[0]))
    expected = kept.converted(architecture).state_dict()
    for name in FORMATS[kept.name][1:]:
        save(kept.network, kept.folder / name)
        for key, tensor in kept.converted(architecture, name).state_dict().items():
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
    numbered = {}
    config = kept.network.get_config()
    text = json.dumps(config)
    for number, layer in enumerate(config["layers"], 37):
        numbered[layer["config"]["name"]] = f"{layer['class_name'].lower()}_{number}"
    for name, other in numbered.items():
        text = text.replace(f'"{name}"', f'"{other}"')
    renamed = keras().Model.from_config(json.loads(text))
    renamed.set_weights(kept.network.get_weights())
    renamed.save(kept.folder / "renamed.keras")
    found = kept.converted(keras_architecture(kept.preset(kept.sizes[0])), "renamed.keras")
    assert max(kept.deviations(found)) < TOLERANCE


def test_weights_go_back_to_keras(kept):
    arguments = ("--preset", kept.preset(kept.sizes[0]), "--output", "out")
    run(app, "--from-keras", kept.folder / "saved.keras", *arguments)
    fresh = keras().Model.from_config(kept.network.get_config())
    for file in ("back.weights.h5", "back.h5"):
        result = run(app, "--to-keras", file, "--model", "out")
        assert f"the weights of {kept.name} are in" in result.stdout
        fresh.set_weights([0 * weight for weight in fresh.get_weights()])
        fresh.load_weights(file)
        for mine, theirs in zip(fresh.get_weights(), kept.network.get_weights(), strict=True):
            assert (mine == theirs).all()
