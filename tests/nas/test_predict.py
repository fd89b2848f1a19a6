"""`nas-predict`: the same as the exported `model.py` says, in every format and style."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from nas.architecture.specification import Stem
from nas.network.export import export_network
from nas.network.formats import FORMATS, FormatOptions
from nas.network.source import Provenance
from nas.predict import app
from tests.nas.exporting import SMALL, with_statistics
from tests.trials.data_sets import encoded, pixels, write

CLASSES = ("cat", "dog [red]", "cow")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with every format, and the module in it; ONNX takes images as they are stored."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("model") / "best"
    architecture = replace(SMALL, classes=len(CLASSES))
    provenance = Provenance("x", classes=CLASSES, mean=(90.0,) * 3, std=(60.0,) * 3, resize="crop")
    export_network(
        architecture, with_statistics(architecture), folder, provenance,
        formats=FormatOptions(("pt2", "onnx"), with_preprocessing=True),
    )  # fmt: skip
    spec = importlib.util.spec_from_file_location("its_model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return folder, module


def predict(*arguments: object, status: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, f"{result.output}\n{result.exception!r}"
    return result


@pytest.mark.parametrize("format_name", ["pytorch", "pt2", "onnx"])
def test_every_format_says_what_the_model_says(model, format_name):
    folder, module = model
    write("pictures/a.png", "pictures/deep/b.PNG", content=encoded(pixels(20, 30)))
    write("pictures/notes.txt", content=b"none")
    shown = json.loads(predict("--model", folder, "--format", format_name, "--as", "json",
                               "pictures").stdout)  # fmt: skip
    assert [row["file"] for row in shown] == ["pictures/a.png", "pictures/deep/b.PNG"]
    for row in shown:
        expected = module.predict(row["file"])
        assert row["classes"] == pytest.approx(expected, abs=1e-5)
        assert list(row["classes"]) == list(expected)


def test_a_table_and_csv_have_the_most_probable_classes(model):
    folder, module = model
    write("a.png", "b.png")
    expected = module.predict("b.png")
    table = predict("--model", folder, "--top", 2, "a.png", "b.png").stdout.splitlines()
    first, second, *_ = expected
    assert table[2].split()[:2] == ["b.png", first.split()[0]]
    assert f"{expected[first]:.3f}" in table[2]
    assert table[2].rstrip().endswith(f"{second} {expected[second]:.3f}")
    rows = list(csv.reader(io.StringIO(
        predict("--model", folder, "--as", "csv", "--top", 2, "b.png").stdout)))  # fmt: skip
    assert rows[0] == ["file", "class1", "p1", "class2", "p2"]
    assert rows[1][:2] == ["b.png", first]
    assert float(rows[1][2]) == pytest.approx(expected[first], abs=1e-5)


def test_a_picture_that_cannot_be_read_is_named_and_the_others_are_predicted(model):
    folder, _ = model
    write("a.png", "c.png")
    write("b.png", content=b"no picture")
    result = predict("--model", folder, "--as", "csv", "a.png", "b.png", "c.png", status=2)
    assert [row.split(",")[0] for row in result.stdout.splitlines()[1:]] == ["a.png", "c.png"]
    assert result.stderr.startswith("b.png: error: cannot identify image file")
    assert predict("--model", folder, "b.png", status=2).stdout == ""  # no table of nothing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nowhere", "a.png"], "--model: error: nowhere has no model.py"),
        (["--model", "MODEL", "b.png"], "b.png: error: no such file"),
        (["--model", "MODEL", "empty"], "empty: error: there are no pictures in it"),
        (["--model", "MODEL", "--format", "tflite", "a.png"], "no such format: tflite"),
    ],
)
def test_what_there_is_not_is_named(model, tmp_path, arguments, message):
    folder, _ = model
    write("a.png")
    (tmp_path / "empty").mkdir()
    arguments = [folder if argument == "MODEL" else argument for argument in arguments]
    assert message in predict(*arguments, status=2).stderr


@pytest.mark.parametrize("format_name", ["pt2", "onnx"])
def test_a_file_of_another_network_is_refused(model, tmp_path, format_name):
    """As of another study, with classes of the same number."""
    folder, _ = model
    other = replace(SMALL, classes=len(CLASSES), stem=Stem((5,)))
    export_network(other, with_statistics(other), tmp_path)
    file = FORMATS[format_name].file
    shutil.copyfile(folder / file, tmp_path / file)
    write("a.png")
    arguments = ("--model", tmp_path, "--format", format_name, "a.png")
    key = replace(SMALL, classes=len(CLASSES)).key
    assert f"{file} is of another network, {key}" in predict(*arguments, status=2).stderr


def test_a_file_of_other_classes_is_refused(model, tmp_path, monkeypatch):
    """Where it does not name its network."""
    folder, _ = model
    export_network(SMALL, with_statistics(SMALL), tmp_path)
    shutil.copyfile(folder / "model.pt2", tmp_path / "model.pt2")
    monkeypatch.setitem(FORMATS, "pt2", replace(FORMATS["pt2"], architecture=None))
    write("a.png")
    message = predict("--model", tmp_path, "--format", "pt2", "a.png", status=2).stderr
    assert "model.pt2 has 3 outputs, model.py 4 classes" in message


def test_a_format_that_was_not_exported_is_named(model, tmp_path):
    folder, _ = model
    write("a.png")
    for name in ("model.py", "weights.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    message = predict("--model", tmp_path, "--format", "pt2", "a.png", status=2).stderr
    assert "has no model.pt2: export it with --format pt2" in message
