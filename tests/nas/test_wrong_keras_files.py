"""Keras files that are damaged, of another network, or made to harm: refused, and nothing written."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from nas.convert import app
from nas.network.export import export_network
from nas.network.keras_layers import keras_layers
from nas.network.keras_presets import keras_architecture
from nas.network.keras_writing import write_weights
from tests.nas.exporting import SMALL, with_statistics

PRESET = "mobilenet:classes=4,image_size=32,width=0.05"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> bytes:
    """A file of weights of a small MobileNet."""
    file = tmp_path_factory.mktemp("keras") / "good.weights.h5"
    network = with_statistics(keras_architecture(PRESET))
    write_weights(file, keras_layers(network), convolution_head=True)
    return file.read_bytes()


def said(*arguments: str) -> str:
    """What the command says of a mistake, on one line."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, f"{result.output}\n{result.exception!r}"
    assert not list(Path().glob("out*"))
    return re.sub(r"\s+", " ", result.stderr)


def said_of(file: str, preset: str = PRESET) -> str:
    return said("--from-keras", file, "--preset", preset, "--output", "out")


def archive(weights: bytes, *more: tuple[str | zipfile.ZipInfo, bytes], config: object = None):
    with zipfile.ZipFile("a.keras", "w") as file:
        file.writestr("config.json", json.dumps(config or {"class_name": "Functional"}))
        file.writestr("model.weights.h5", weights)
        for name, content in more:
            file.writestr(name, content)
    return "a.keras"


def test_the_file_is_good(weights):
    """So what the others are refused for is what they have been given."""
    file = archive(weights, ("metadata.json", b"{}"))
    result = CliRunner().invoke(app, ["--from-keras", file, "--preset", PRESET, "--output", "out"])
    assert result.exit_code == 0, result.output
    assert "out" in result.stdout


def test_a_file_that_is_not_there_or_no_keras_file():
    assert "none.h5: error: no such file hint: a file that Keras has saved" in said_of("none.h5")
    assert "/dev/zero: error: no such file" in said_of("/dev/zero")
    Path("folder").mkdir()
    assert "folder: error: no such file" in said_of("folder")
    Path("text.h5").write_bytes(b"weights")
    assert "text.h5: error: neither HDF5 nor a zip archive; it begins with b'weig'" in said_of(
        "text.h5"
    )


@pytest.mark.parametrize("part", [0.05, 0.5, 0.999])
def test_a_truncated_file(weights, part):
    cut = weights[: int(part * len(weights))]
    Path("cut.weights.h5").write_bytes(cut)
    assert "cut.weights.h5: error: cannot be read: Unable to" in said_of("cut.weights.h5")
    assert "a.keras: error: cannot be read: Unable to" in said_of(archive(cut))
    whole = Path(archive(weights)).read_bytes()
    Path("b.keras").write_bytes(whole[: int(part * len(whole))])
    assert "b.keras: error: cannot be read: File is not a zip file" in said_of("b.keras")


def test_another_network_is_told_by_its_layers(weights):
    Path("a.weights.h5").write_bytes(weights)
    message = said_of("a.weights.h5", "xception:classes=4,image_size=71,width=0.1")
    assert (
        "a.weights.h5: error: the network has 40 batch_normalization, 6 conv2d, 1 dense, "
        "34 separable_conv2d; got 27 batch_normalization, 14 conv2d, 1 dense, 13 depthwise_conv2d"
    ) in message


def test_the_first_array_of_another_shape_is_named_with_both(weights):
    Path("a.weights.h5").write_bytes(weights)
    wider = said_of("a.weights.h5", PRESET.replace("0.05", "0.25"))
    assert "stem.conv0.parts.0, a conv2d, is (3, 3, 3, 8); conv2d is (3, 3, 3, 2)" in wider
    assert "hint: the preset's options, such as classes and width" in wider
    more = said_of("a.weights.h5", PRESET.replace("classes=4", "classes=7"))
    assert "linear, a dense, is (51, 7), (7); conv2d_14 is (51, 4), (4)" in more


def changed(weights: bytes, change) -> str:
    Path("a.weights.h5").write_bytes(weights)
    with h5py.File("a.weights.h5", "r+") as file:
        change(file)
    return "a.weights.h5"


KERNEL = "layers/conv2d/vars/0"


def instead(value):
    """Put another value in the place of the first kernel."""

    def change(file: h5py.File) -> None:
        shape = file[KERNEL].shape
        del file[KERNEL]
        file[KERNEL] = value(shape) if callable(value) else value

    return change


def from_elsewhere(file: h5py.File) -> None:
    """Bytes of a file of this machine as weights."""
    shape = file[KERNEL].shape
    del file[KERNEL]
    Path("secret").write_bytes(bytes(1000))
    external = [("secret", 0, 4 * int(np.prod(shape)))]
    file.create_dataset(KERNEL, shape, "f4", external=external)


def virtual(file: h5py.File) -> None:
    shape = file[KERNEL].shape
    del file[KERNEL]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", shape)
    file.create_virtual_dataset(KERNEL, layout)


def in_large_pieces(file: h5py.File) -> None:
    """A chunk is unpacked whole, however little of it is used."""
    shape = file[KERNEL].shape
    del file[KERNEL]
    file.create_dataset(KERNEL, shape, "f4", chunks=(512, 512, 16, 16), maxshape=(None,) * 4)


def set_to(name: str, value: float):
    def change(file: h5py.File) -> None:
        file[f"layers/{name}"][0] = value

    return change


def without(name: str):
    def change(file: h5py.File) -> None:
        del file[name]

    return change


CHANGES = [
    (instead(h5py.SoftLink("/layers/conv2d_1/vars/0")), "links are not followed; got 0"),
    (instead(h5py.ExternalLink("other.h5", "/a")), "links are not followed; got 0"),
    (from_elsewhere, "the numbers of 0 are in the file; got another file's"),
    (virtual, "the numbers of 0 are in the file; got another file's"),
    (in_large_pieces, "a piece of 0 is no larger than it; got (512, 512, 16, 16)"),
    (instead(lambda shape: np.zeros(shape, "i4")), "0 is an array of floating-point numbers"),
    (instead(b"pickle"), "0 is an array of floating-point numbers; got another"),
    (instead(h5py.Empty("f4")), "0 is an array of floating-point numbers; got another"),
    (set_to("conv2d/vars/0", np.nan), "conv2d: kernel is finite; got nan or infinity"),
    (set_to("batch_normalization_3/vars/3", -1), "batch_normalization_3: a variance is 0 or more; got -1.0"),
    (set_to("conv2d_14/vars/0", 3e38), "with these weights outputs are finite; got nan or infinity"),
    (without("layers/conv2d_3"), "the network has 27 batch_normalization, 14 conv2d, 1 dense, 13 depthwise_conv2d; got 27 batch_normalization, 13 conv2d"),
    (without("layers"), "it has no weights where Keras keeps them"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=[m[:30] for _, m in CHANGES])
def test_what_weights_are_not(weights, change, message):
    assert f"a.weights.h5: error: {message}" in said_of(changed(weights, change))


def layers_of(*layers: dict) -> dict:
    return {"class_name": "Functional", "config": {"name": "model", "layers": list(layers)}}


LAMBDA = layers_of(
    {"class_name": "Lambda", "config": {"name": "mine", "function": ["4wEAAAAA", None, None]}}
)
EPSILON = layers_of(
    {"class_name": "BatchNormalization", "config": {"name": "bn", "epsilon": 1e-5}},
)


def test_a_pickled_lambda_is_refused_unread():
    """Before any weight is looked at: this file has none."""
    expected = "whose code is pickled; got 'mine', not read hint: build the network without it"
    assert expected in said_of(archive(b"", config=LAMBDA))
    with h5py.File("a.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(LAMBDA)
    assert expected in said_of("a.h5")


def test_another_epsilon_of_batch_norms_is_told_by_the_description(weights):
    """No shape would tell."""
    message = said_of(archive(weights, config=EPSILON))
    assert (
        "batch norms have the epsilon 0.001; got 1e-05 in 'bn' hint: the preset's option" in message
    )
    options = ["--preset", f"{PRESET},norm_epsilon=1e-5", "--output", "out"]
    assert CliRunner().invoke(app, ["--from-keras", "a.keras", *options]).exit_code == 0


def test_a_description_that_is_none(weights):
    file = changed(weights, lambda file: file.attrs.update(model_config="{" * 100))
    assert "error: the model's description: JSON has brackets nested at most 32" in said_of(file)


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


MEMBERS = [
    (("../evil.py", b"x"), "members of a .keras file stay in it; got '../evil.py'"),
    (("/etc/evil", b"x"), "members of a .keras file stay in it; got '/etc/evil'"),
    (("assets\\..\\evil", b"x"), "members of a .keras file stay in it; got 'assets"),
    (("C:\\evil", b"x"), "members of a .keras file stay in it; got 'C:"),
    ((link("assets"), b"/etc/passwd"), "a .keras file has no links; got 'assets'"),
]


@pytest.mark.parametrize(("member", "message"), MEMBERS)
def test_members_that_reach_outside_the_archive(weights, member, message):
    assert f"a.keras: error: {message}" in said_of(archive(weights, member))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_are_missing_twice_there_or_too_large(weights, monkeypatch):
    twice = said_of(archive(weights, ("model.weights.h5", weights)))
    assert "a .keras file has one model.weights.h5; got 2" in twice
    with zipfile.ZipFile("b.keras", "w") as file:
        file.writestr("config.json", "{}")
    assert "a .keras file has one model.weights.h5; got 0" in said_of("b.keras")
    monkeypatch.setattr("nas.network.keras_files._LEAST", 2**20)
    with zipfile.ZipFile("c.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", bytes(2**21))
    assert Path("c.keras").stat().st_size < 2**13
    bomb = said_of("c.keras")
    assert "model.weights.h5 has at most 1,048,576 bytes for this network; got 2,097,152" in bomb


# The command itself.


def test_options_that_belong_together():
    rule = "options: error: expected --from-keras, --preset and --output, or --to-keras and --model"
    assert rule in said()
    assert rule in said("--from-keras", "a.h5", "--output", "out")
    assert rule in said("--to-keras", "a.h5", "--preset", "xception", "--model", "best")
    assert rule in said("--from-keras", "a.h5", "--to-keras", "b.h5", "--model", "best")


PRESETS = [
    ("resnet", "preset of a Keras file is one of xception, mobilenet, inception_v3"),
    ("xception:clases=3", "xception has no option 'clases'"),
    ("xception:classes=many", "xception: classes is a whole number; got 'many'"),
    ("xception:image_size=2", "a valid stem needs a larger image; got 2 x 2"),
]


@pytest.mark.parametrize(("preset", "message"), PRESETS)
def test_a_preset_that_is_none(preset, message):
    assert f"--preset: error: {message}" in said_of("a.h5", preset)


def test_the_extra_that_is_needed_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    expected = "error: needs h5py hint: pip install 'separability-nas[keras]'"
    assert f"--from-keras: {expected}" in said_of("a.h5")
    assert f"--to-keras: {expected}" in said("--to-keras", "a.h5", "--model", "best")


def test_an_export_that_keras_does_not_have():
    export_network(SMALL, with_statistics(SMALL), "best")
    message = said("--to-keras", "out.h5", "--model", "best")
    assert "weights are written for Keras' xception and mobilenet; got another network" in message
    assert "--model: error: none has no model.py" in said("--to-keras", "out.h5", "--model", "none")


def test_what_is_written_for_keras_is_weights_alone():
    architecture = keras_architecture(PRESET)
    export_network(architecture, with_statistics(architecture), "best")
    message = said("--to-keras", "out.keras", "--model", "best")
    assert "--to-keras: error: weights alone are .weights.h5 or .h5; got another ending" in message
    assert "/none/out.h5" in said("--to-keras", "/none/out.h5", "--model", "best")


def test_keras_is_not_needed(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    Path("a.weights.h5").write_bytes(weights)
    arguments = ["--from-keras", "a.weights.h5", "--preset", PRESET, "--output", "out"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    back = CliRunner().invoke(app, ["--to-keras", "b.weights.h5", "--model", "out"])
    assert back.exit_code == 0, back.output
    with h5py.File("a.weights.h5") as a, h5py.File("b.weights.h5") as b:
        names: list[str] = []
        a.visit(names.append)
        for name in names:
            if isinstance(a[name], h5py.Dataset):
                torch.testing.assert_close(
                    torch.from_numpy(a[name][()]), torch.from_numpy(b[name][()]), rtol=0, atol=0
                )
