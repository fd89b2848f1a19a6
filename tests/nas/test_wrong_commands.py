"""What a user can get wrong in an option, a study or a data set, by whole programs."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nas.describe import app as describe_app
from nas.explain import app as explain_app
from nas.export import app as export_app
from nas.latency import app as latency_app
from nas.network.export import export_network
from nas.network.formats import FORMATS
from nas.predict import app as predict_app
from nas.report import app as report_app
from nas.retrain import app as retrain_app
from nas.search import app as search_app
from tests.nas.exporting import SMALL, with_statistics
from tests.nas.mistakes import GOOD, shortened


def run(app, *arguments: object):
    """Up to the error: none may start Ray or leave a traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert not isinstance(result.exception, Exception), result.exception
    return result


def search(*arguments: object):
    Path("space.yaml").write_text(GOOD)
    return run(search_app, "--space", "space.yaml", *arguments)


@pytest.mark.parametrize("size", ["499x350", "500x349", "4001x400", "900", "-1x5"])
def test_a_size_that_figures_do_not_fit_is_refused(size):
    result = run(report_app, "--study", "nowhere", "--size", size)
    assert result.exit_code == 2
    assert "--size: error: expected pixels from 500x350 to 4000x4000" in result.stderr


OPTIONS = [
    (["--trials", "0"], "--trials: error: study.trials: must be greater than or equal to 1; got 0"),
    (["--sampler", "grid search"], "--sampler: error: study.sampler: must be 'tpe'"),
    (["--epochs", "-3"], "--epochs: error: training.epochs: must be greater than or equal to 1"),
    (["--seed", "-1"], "--seed: error: study.seed: must be greater than or equal to 0; got -1"),
    (["--study", "a/b"], "--study: error: name: a name has at most 64 letters"),
    (["--cpus-per-trial", "0"], "--cpus-per-trial: error: resources.cpus_per_trial: must be greater"),
    (["--cpus-per-trial", "nan"], "resources.cpus_per_trial: must be a finite number; got nan"),
    (["--set", "data.source=\udcff"], "error: data.source: not UTF-8"),
    (["--study", "\udcff"], "--study: error: name: a name has at most 64 letters"),
    (["--set", "training.epohcs=3"], "--set training.epohcs=3: error: training.epohcs: unknown key"),
    (["--set", "training.epochs"], "--set training.epochs: error: expected NAME=VALUE"),
    (["--set", "network.blocks[9].convs=1"], "there is no network.blocks[9] to set"),
    (["--set", "data.limit=5000000"], "no such"),
    (["--storage", "mysql://me:secret@host/db"], "--storage: error: not a database that a study"),
    (["--storage", "nonsense"], "--storage: error: not a database URL"),
    (["--storage", "sqlite://"], "--storage: error: not a database that a study can be kept in"),
    (["--set", "training.batch_size=4096"], "training.batch_size: 1600 training images are fewer"),
    (["--sampler", "grid", "--set", "search.segments=1..C"], "grid tries every architecture"),
    (["--trials", "many"], "Invalid value for '--trials'"),
    (["--unknown"], "No such option: --unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), OPTIONS, ids=shortened)
def test_wrong_option(arguments, message):
    if arguments == ["--set", "data.limit=5000000"]:
        arguments, message = (
            ["--set", "data.source=digits", *arguments],
            "limit 5000000 is more than",
        )
    result = search(*arguments)
    assert result.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", result.output)
    assert "secret" not in result.output


@pytest.mark.parametrize("name", ["2024", "true", "1e3", "null", "1.0", "a"])
def test_an_option_of_its_own_is_not_read_as_yaml(name, monkeypatch):
    """Any name that is allowed is taken as it is: the run ends at something else."""
    monkeypatch.setattr(
        "nas.search.run_search", lambda space, **_: print(f"study {space.file.name!r}")
    )
    result = search("--study", name, "--set", "training.epochs=1")
    assert result.output == f"study {name!r}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "space.yaml: error: name: expected the name of a study"),
        ("- 1", "space.yaml:1:1: error: name: expected the name of a study"),
        ("data: 1", "space.yaml:1:1: error: name: expected the name of a study"),
        ("name: 1e3", "space.yaml:1:7: error: name: expected the name of a study"),
        ("name: &x a", "space.yaml:1:7: error: name: anchor &x is not allowed"),
        ("name: [", "error: not YAML"),
    ],
)
def test_a_study_whose_folder_is_damaged(text, message):
    Path("broken").mkdir()
    Path("broken/space.yaml").write_text(text)
    result = run(export_app, "--study", "broken", "--output", "x")
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("app", "arguments", "message"),
    [
        (search_app, ["--space", "none.yaml"], "none.yaml: error: cannot be read: No such file"),
        (search_app, [], "Missing option '--space'"),
        (export_app, ["--study", "none", "--output", "x"], "--study: error: there is no study in"),
        (retrain_app, ["--study", "none", "--output", "x"], "there is no study in runs/none"),
        (retrain_app, ["--study", "none", "--output", "x", "--seed", f"{2**64}"], "--seed"),
        (
            retrain_app,
            ["--study", "n", "--output", "x", "--recipe", "x"],
            "--recipe is one of proxy",
        ),
        (describe_app, ["none.json"], "none.json: error: cannot be read: No such file"),
        (
            describe_app,
            ["xception", "--set", "a=1"],
            "--set: error: xception is not a search space",
        ),
        (describe_app, ["a.json", "--set", "a=1"], "--set: error: a.json is not a search space"),
        (
            describe_app,
            ["mobilnet"],
            "mobilnet: error: a published network is one of mobilenet, xception, xception41, "
            "xception65, xception71, inception_v3, inception_module; got 'mobilnet' hint: mobilenet",
        ),
        (
            describe_app,
            ["mobilenet:alhpa=1"],
            "mobilenet:alhpa=1: error: mobilenet has no option 'alhpa' hint: any of classes",
        ),
        (
            latency_app,
            ["mobilenet:alpha=half"],
            "mobilenet:alpha=half: error: mobilenet: alpha is a number; got 'half' hint: such as",
        ),
        (describe_app, ["xception:image_size=4"], "xception:image_size=4: error: a valid stem"),
        (describe_app, ["inception_v3", "--svg", "a.svg"], "--svg: error: inception_v3 has no"),
        (describe_app, ["inception_v3", "--set", "a=1"], "inception_v3 is not a search space"),
        (describe_app, ["none.yaml"], "none.yaml: error: cannot be read: No such file"),
    ],
    ids=shortened,
)
def test_wrong_command(app, arguments, message):
    result = run(app, *arguments)
    assert result.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", result.output)


def test_a_wrong_architecture_names_its_file():
    Path("bad.json").write_text('{"input_shape":[1,8,8]}')
    result = run(describe_app, "bad.json")
    assert result.exit_code == 2
    assert "bad.json: error: architecture: classes is missing" in result.output


# Exported folders.


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "best"
    return export_network(SMALL, with_statistics(SMALL), folder)


DAMAGED = [
    (predict_app, ["--model", "best", "a.png"], "weights.safetensors", b'{"a"'),
    (explain_app, ["--model", "best", "--images", "a.png"], "weights.safetensors", b'{"a"'),
    (latency_app, ["best"], "weights.safetensors", b'{"a"'),
    (predict_app, ["--model", "best", "a.png"], "model.py", b"def load(:"),
    (explain_app, ["--model", "best", "--images", "a.png"], "model.py", b"def load(:"),
    (latency_app, ["best"], "model.py", b"def load(:"),
    (latency_app, ["best"], "model.py", b""),
    (predict_app, ["--model", "best", "--format", "pt2", "a.png"], "model.pt2", b"PK"),
    (predict_app, ["--model", "best", "--format", "onnx", "a.png"], "model.onnx", b"no"),
    (latency_app, ["best", "--runtime", "onnx"], "model.onnx", b"no"),
    (latency_app, ["best", "--runtime", "pte"], "model.pte", b"no"),
]


@pytest.mark.parametrize(("app", "arguments", "file", "content"), DAMAGED, ids=shortened)
def test_a_damaged_export(exported, app, arguments, file, content):
    for format_ in FORMATS.values():
        if format_.file == file and format_.missing:
            pytest.skip(f"needs {format_.missing}")
    shutil.copytree(exported, "best")
    Path("best", file).write_bytes(content)
    Path("a.png").write_bytes(png())
    result = run(app, *arguments)
    assert result.exit_code == 2
    said = "best/weights" if file == "model.py" and not content else f"best/{file}"
    assert f"error: {said}" in result.output
    assert "cannot be loaded" in result.output


# Data sets.


def png(size=(8, 8), mode="RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, "png")
    return out.getvalue()


def image_folder(**classes: list[bytes]) -> None:
    for name, images in classes.items():
        folder = Path("pictures") / name
        folder.mkdir(parents=True)
        for index, content in enumerate(images):
            (folder / f"{index}.png").write_bytes(content)


# How they are said; `tests/trials/test_data_sets.py` has the data sets.
DATA_SETS = [
    ("images:pictures", lambda: image_folder(cat=[png()] * 4, dog=[png(), b"no"]), "dog/1.png: not a readable image"),
    ("npz:data.npz", lambda: Path("data.npz").write_bytes(b"PK no"), "data.npz cannot be read"),
    ("parquet:empty", lambda: Path("empty").mkdir(), "empty cannot be read"),
    ("webdataset:train-{0..1}.tar", lambda: Path("train-0.tar").write_bytes(b"x" * 700), "no such shard: train-1.tar, of train-{0..1}.tar"),
    ("frames:pictures", lambda: image_folder(cat=[png()], dog=[png()]), "cat/0.png is a picture where the folder of a clip has to be"),
    ("webdataset:*.tar", lambda: Path("train-0.tar").write_bytes(b"x" * 700), "train-0.tar cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "make", "message"), DATA_SETS, ids=shortened)
def test_wrong_data_set(source, make, message):
    make()
    result = search("--set", f"data.source={source}", "--set", "training.batch_size=2")
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "data.source" in result.output


def test_declared_shape_and_classes_are_checked_against_the_images():
    images = np.zeros((20, 8, 8), dtype=np.uint8)
    np.savez("data.npz", images=images, labels=np.arange(20) % 2)
    source = ["--set", "data.source=npz:data.npz", "--set", "training.batch_size=2"]
    shape = search(*source, "--set", "data.shape=[3, 8, 8]", "--set", "data.classes=2")
    assert shape.exit_code == 2
    assert (
        "--set data.shape=[3, 8, 8]: error: data.shape: data.npz: images, image 0: " in shape.output
    )
    classes = search(*source, "--set", "data.classes=1000", "--set", "data.shape=[1, 8, 8]")
    assert classes.exit_code == 2
    assert "class 2 has 0 images" in classes.output
