"""The Python API as people would guess it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from PIL import Image

import nas
from nas.engine.search import SearchFailed
from nas.engine.stage import StageRunner
from nas.space.errors import InputError
from nas.study.identity import SpaceChanged
from tests.nas.driving import FAILED, measured
from trials.data.from_python import arrays_of

SECTIONS = {
    "name": "mine",
    "data": {"source": "synthetic", "limit": 80, "shape": [3, 8, 8], "classes": 4},
    "network": {"stem": {"channels": 6}, "blocks": [{"channels": 6}]},
    "search": {"segments": [1, 2, 3, "C"], "activation": ["none", "relu", "elu"]},
    "training": {"epochs": 1, "batch_size": 16},
    "study": {"trials": 4},
}


@pytest.fixture
def without_ray(monkeypatch):
    """Trials are handed out and recorded as ever, but nothing is trained."""

    def run(runner, driver, *_, **__):
        driver.listener = runner._progress(driver)
        while (spec := driver.next()) is not None:
            driver.record(spec.trial, measured(driver, spec))

    monkeypatch.setattr(StageRunner, "run", run)
    monkeypatch.setattr("nas.api.run_search._write_results", lambda *_: None)


def test_a_space_from_keywords_from_a_mapping_and_from_a_file_is_the_same(tmp_path):
    (tmp_path / "space.yaml").write_text(nas_yaml(SECTIONS))
    from_file = nas.SearchSpace.from_yaml(tmp_path / "space.yaml")
    assert nas.SearchSpace(**SECTIONS) == nas.SearchSpace(SECTIONS) == from_file
    assert nas.SearchSpace(SECTIONS, study={"trials": 9}).file.study.trials == 9
    assert from_file.sample(seed=1).key == nas.SearchSpace(SECTIONS).sample(seed=1).key


def test_a_space_from_keywords_is_checked_as_a_file_is():
    search = {"segments": [1, 96, "C"], "activaton": ["relu"]}
    with pytest.raises(InputError) as caught:
        nas.SearchSpace(SECTIONS, search=search)
    message = str(caught.value)
    assert "search.segments[1]: 96 is more than the 6 channels of blocks[0]" in message
    assert "search.activaton: unknown key" in message
    assert "did you mean activation?" in message


@pytest.mark.usefixtures("without_ray")
def test_a_search_resumes_and_tells_callbacks():
    space = nas.SearchSpace(SECTIONS)
    heard = []
    study = nas.run_search(space, trials=3, output="out", callbacks=[heard.append])
    assert len(heard) == len(study.trials) == 3
    more = nas.run_search(space, trials=5, output="out", callbacks=[heard.append])
    assert len(more.trials) == len({trial.number for trial in heard}) == 5
    assert more.trials[:3] == study.trials
    assert nas.load_study("out").trials == more.trials
    assert repr(more) == "<Study mine: 5 complete trials, in out>"


@pytest.mark.usefixtures("without_ray")
def test_what_a_callback_raises_ends_the_search_which_can_be_resumed():
    def stop(_trial):
        raise StopIteration

    with pytest.raises(StopIteration):
        nas.run_search(SECTIONS, callbacks=[stop])
    assert [trial.state for trial in nas.load_study("mine").trials] == ["complete"]
    assert len(nas.run_search(SECTIONS).trials) == 4


@pytest.mark.usefixtures("without_ray")
def test_a_space_may_be_a_file_a_mapping_or_a_space(spaces):
    study = nas.run_search(spaces / "smoke.yaml", trials=1)
    assert study.name == "smoke"
    assert (study.folder / "space.yaml").is_file()


@pytest.mark.usefixtures("without_ray")
def test_another_space_under_the_same_name_is_refused():
    nas.run_search(SECTIONS, trials=1)
    with pytest.raises(Exception, match=r"training.epochs"):
        nas.run_search(SECTIONS | {"training": {"epochs": 2, "batch_size": 16}})


def test_a_search_without_a_complete_trial_fails(monkeypatch):
    def run(_runner, driver, *_, **__):
        while (spec := driver.next()) is not None:
            driver.record(spec.trial, measured(driver, spec, **FAILED))

    monkeypatch.setattr(StageRunner, "run", run)
    with pytest.raises(SearchFailed, match="10 trials in a row have failed"):
        nas.run_search(SECTIONS, trials=20)


@pytest.mark.usefixtures("without_ray")
def test_any_sampler_of_optuna_may_be_passed():
    import optuna

    class Counting(optuna.samplers.RandomSampler):
        asked = 0

        def sample_independent(self, *arguments):
            self.asked += 1
            return super().sample_independent(*arguments)

    sampler = Counting(seed=3)
    study = nas.run_search(SECTIONS, sampler=sampler)
    assert len(study.trials) == 4
    assert sampler.asked >= 8


class Pictures(torch.utils.data.Dataset):
    """As torchvision's are: (image, label), the image as a transform leaves it."""

    def __init__(self, transform):
        rng = np.random.default_rng(0)
        self.labels = [index % 3 for index in range(60)]
        self.pixels = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(self.pixels[index]), self.labels[index]


def to_tensor(pixels):
    """Torchvision's ToTensor."""
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize(
    "data",
    [
        Pictures(Image.fromarray),
        Pictures(to_tensor),
        Pictures(lambda pixels: pixels),
        (Pictures(None).pixels, np.array(Pictures(None).labels)),
        (torch.stack([to_tensor(p) for p in Pictures(None).pixels]), Pictures(None).labels),
    ],
    ids=["pictures", "tensors", "arrays", "array pair", "tensor pair"],
)
def test_a_search_on_data_in_memory(data):
    study = nas.run_search(SECTIONS | {"data": {"source": "digits"}}, data=data, trials=1)
    (kept,) = study.folder.glob("data-*.npz")
    with np.load(kept) as archive:
        np.testing.assert_array_equal(archive["images"], Pictures(None).pixels)
        np.testing.assert_array_equal(archive["labels"], Pictures(None).labels)
    (trial,) = study.trials
    assert trial.architecture.input_shape == (3, 8, 8)
    assert trial.architecture.classes == 3
    again = nas.run_search(SECTIONS | {"data": {"source": "digits"}}, data=data, trials=2)
    assert len(again.trials) == 2


def as_table():
    """A `datasets.Dataset`, shuffled: its labels are in another order than its storage."""
    datasets = pytest.importorskip("datasets")
    data = Pictures(None)
    features = datasets.Features(
        {"img": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])}
    )
    rows = {"img": [Image.fromarray(p) for p in data.pixels], "label": data.labels}
    return datasets.Dataset.from_dict(rows, features=features).shuffle(seed=1)


def test_a_table_of_hugging_face_is_read_with_the_names_of_its_classes():
    table = as_table()
    arrays = arrays_of(table)
    np.testing.assert_array_equal(arrays["images"][7], np.asarray(table[7]["img"]))
    assert arrays["labels"].tolist() == ["abc"[label] for label in table["label"]]


def test_channels_first_in_an_array_are_certain_where_there_are_few_of_them():
    last = Pictures(None).pixels
    assert (arrays_of((np.moveaxis(last, 3, 1), [0] * 60))["images"] == last).all()
    assert (arrays_of((torch.from_numpy(last), [0] * 60))["images"] == last).all()


@pytest.mark.usefixtures("without_ray")
def test_splits_from_python_are_those_of_the_search():
    images, labels = Pictures(None).pixels, np.array(["cat", "dog", "cow"] * 20)
    splits = {
        "train": (images[:40], labels[:40]),
        "validation": (images[40:50], labels[40:50]),
        "test": (images[50:], labels[50:]),
    }
    study = nas.run_search(SECTIONS | {"confirm": {"seeds": 2}}, data=splits, trials=1)
    assert study.records.data.images == (40, 10)
    assert study.records.data.classes == ("cat", "cow", "dog")


@pytest.mark.usefixtures("without_ray")
def test_other_data_never_replaces_that_of_a_study():
    first, other = Pictures(None), Pictures(None)
    other.pixels = 255 - other.pixels
    study = nas.run_search(SECTIONS, data=(first.pixels, np.array(first.labels)), trials=1)
    (kept,) = study.folder.glob("data-*.npz")
    before = kept.read_bytes()
    with pytest.raises(SpaceChanged, match="fingerprint"):
        nas.run_search(SECTIONS, data=(other.pixels, np.array(other.labels)), trials=2)
    assert kept.read_bytes() == before


@pytest.mark.usefixtures("without_ray")
def test_all_of_the_given_data_is_used(spaces):
    """What the file says of its own data, such as its limit and classes, is not said of this."""
    images, labels = np.zeros((300, 5, 5), np.uint8), np.arange(300) % 3
    study = nas.run_search(spaces / "smoke.yaml", data=(images, labels), trials=1)
    assert sum(study.records.data.images) == 300


def test_data_without_a_test_split_cannot_be_confirmed():
    data = (np.zeros((20, 8, 8), np.uint8), [0, 1] * 10)
    with pytest.raises(InputError, match="data: error: has no test split, which confirm reads"):
        nas.run_search(SECTIONS | {"confirm": {"seeds": 2}}, data=data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((np.zeros((4, 8, 8, 3)) - 1, [0, 1, 0, 1]), "floats are from 0 to 1; got -1 to -1"),
        ((np.zeros((4, 8, 8), np.int32), [0, 1, 0, 1]), "images are uint8, or floats from 0 to 1"),
        ((np.zeros((4, 8), np.uint8), [0, 1, 0, 1]), "images are .N, H, W. or .N, H, W, C."),
        ((np.zeros((4, 8, 8), np.uint8), [0, 1]), "labels must be 4 integers"),
        ([(np.zeros((8, 8), np.uint8), 0), (np.zeros((9, 8), np.uint8), 1)], r"data\[1\]: the im"),
        (iter([]), "a map-style data set has a length; list_iterator has none"),
        ([], "there are no images"),
        ((np.zeros((4, 8, 8), np.uint8), [0.9, 1.9, 0.1, 1.1]), "the labels must hold integers"),
        ([(np.zeros((8, 8), np.uint8), 0.9)] * 2, "the labels must hold integers or names; it holds float64"),
        ({"test": []}, "there is no train split; there is test"),
        ({"train": [], "dev": []}, "'dev' is no split"),
        ([np.zeros((8, 8), np.uint8)] * 2, r"data\[0\]: an item is .image, label.; got ndarray"),
        (([[0], [0, 1]], [0, 1]), "the images: no array can be made of them"),
        (((0, 1), (2, 3), (4, 5)), "a pair is .images, labels.; got a tuple of 3"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_read_as_it_is_meant_is_refused(data, message):
    with pytest.raises(InputError, match=message) as caught:
        nas.run_search(SECTIONS, data=data)
    assert str(caught.value).startswith("data: error: ")
    assert not Path("runs").exists()


def test_tensors_of_any_float_are_read():
    images = torch.rand(4, 3, 8, 8, requires_grad=True)
    expected = np.round(images.detach().permute(0, 2, 3, 1).numpy() * 255)
    np.testing.assert_array_equal(arrays_of((images, torch.arange(4)))["images"], expected)
    assert arrays_of((images.bfloat16(), [0, 1, 0, 1]))["images"].shape == (4, 8, 8, 3)


def nas_yaml(sections):
    from nas.space.yaml_document import dump_yaml

    return dump_yaml(sections)


# On the study of `tests.nas.conftest`, whose networks are trained.


def test_a_study_as_a_table(study):
    table = nas.load_study(study).dataframe()
    assert len(table) == 8
    assert {"accuracy", "macs", "params", "curve", "block0.segments"} <= set(table.columns)
    assert table["curve"].map(len).eq(2).all()
    assert table.index.name == "trial"
    best = table.sort_values("accuracy").iloc[-1]
    assert best.accuracy == nas.load_study(study).best("accuracy").accuracy


def test_the_front_and_the_best_of_a_study(study):
    found = nas.load_study(study)
    assert [t.macs for t in found.front] == sorted(t.macs for t in found.front)
    assert found.best("knee") in found.front
    assert found.best(3).number == 3
    budget = found.front[0].macs
    assert found.best(f"macs<={budget}").macs <= budget
    with pytest.raises(LookupError, match="no trial 99"):
        found.best(99)


@pytest.mark.parametrize("name", ["front", "hypervolume", "segments", "importance", "curves"])
def test_each_figure_of_the_report_is_a_method(study, name):
    found = nas.load_study(study)
    figure = getattr(found, f"plot_{name}")()
    assert isinstance(figure, go.Figure)
    assert figure.layout.title.text


def test_a_network_with_its_weights(study):
    found = nas.load_study(study)
    network = found.load("knee")
    images = torch.zeros(2, *found.best("knee").architecture.input_shape)
    assert network(images).shape == (2, 4)
    assert not network.training
    folder = found.export("exported", "knee")
    assert (folder / "model.py").is_file()


def test_there_is_no_such_study():
    with pytest.raises(InputError, match="there is no study in runs/nothing"):
        nas.load_study("nothing")
