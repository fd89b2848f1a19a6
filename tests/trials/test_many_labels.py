"""Images with many labels, or none: how they are divided, trained on and scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import nn
from torch.nn import functional as F

from tests.trials.data_sets import described_table, folders, lines, numbered, write
from tests.trials.training import CPU, QUICK
from trials.data import DataConfig, DataError, describe, load, load_test, probe
from trials.data.from_python import arrays_of, write_archive
from trials.data.images import ImageData, Split
from trials.data.many_labels import labels_of_lists, stratified_many
from trials.scores import ranking_of
from trials.train import Resident, evaluate, outputs, train
from trials.trial import RIGHT, Subject, run_trial

CLASSES = ("dark", "bright", "red", "never")


@pytest.fixture(scope="module")
def many() -> Resident:
    """300 images, most of them of two classes; a fourth class that none has."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 1, 1, 3)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    red, level = images[:, 0, 0, 0] > 128, images[:, 0, 0].mean(axis=1)
    labels = np.stack([level < 100, level > 150, red, level < 0], axis=1).astype(np.uint8)
    train_split, validation = (Split(images[s], labels[s]) for s in (slice(200), slice(200, 300)))
    data = ImageData(train_split, validation, CLASSES, (128.0,) * 3, (74.0,) * 3)
    return Resident(data, CPU, validation)


def linear() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))


def test_a_trial_of_many_labels_has_precisions_in_place_of_accuracies(many):
    subject = Subject("k" * 16, "{}", linear, (3, 8, 8), macs=100, params=10)
    wanted = {"average_precision", "map_at_100", *RIGHT}
    (measured,) = run_trial(subject, many, "f", QUICK, (1,), wanted)
    assert measured.state == "complete", measured.traceback
    assert measured.accuracy is None
    assert measured.test_accuracy is None
    assert measured.score == measured.average_precision == measured.curve[-1][2] > 0.8
    assert measured.test_score == measured.test_average_precision == measured.average_precision
    assert 0.8 < measured.map_at_100 <= 1
    assert all(getattr(measured, name) is None for name in RIGHT)  # it is right on some labels


def test_losses_and_scores_are_those_written_out(many):
    torch.manual_seed(0)
    network = linear()
    training = train(network, many, replace(QUICK, epochs=1), 0)
    with torch.no_grad():
        ((logits, labels),) = outputs(network, many.validation)
    probabilities, hot = logits.sigmoid().double().numpy(), labels.numpy()
    seen = hot[:, :3]  # the last class, that no image has, is left out
    precision = average_precision_score(seen, probabilities[:, :3], average="macro")
    assert training.curve[-1].score == pytest.approx(precision, abs=1e-9)
    entropy = -(hot * np.log(probabilities) + (1 - hot) * np.log(1 - probabilities))
    assert training.curve[-1].validation_loss == pytest.approx(entropy.sum(axis=1).mean(), 1e-5)


def test_a_ranking_is_of_float32_also_where_a_network_computes_in_bfloat16(many):
    """Of 100 images each class has scores that bfloat16 cannot tell apart."""
    torch.manual_seed(0)
    network = linear()
    expected = evaluate(network, many.validation), ranking_of(network, many.validation)
    found = evaluate(network, many.validation, "bfloat16"), ranking_of(network, many.validation)
    assert found == expected
    assert next(outputs(network, many.validation, "bfloat16"))[0].dtype == torch.bfloat16


def test_smoothing_draws_targets_towards_a_half(many, monkeypatch):
    seen = []
    entropy = F.binary_cross_entropy_with_logits

    def noted(logits, targets, **options):
        seen.append(targets)
        return entropy(logits, targets, **options)

    monkeypatch.setattr(F, "binary_cross_entropy_with_logits", noted)
    train(linear(), many, replace(QUICK, epochs=1, label_smoothing=0.1), 0)
    torch.testing.assert_close(seen[0].unique(), torch.tensor([0.05, 0.95]))
    assert seen[-1].unique().tolist() == [0, 1]  # of the validation


def test_the_validation_split_has_its_share_of_each_label_and_of_images_without():
    rng = np.random.default_rng(0)
    labels = (rng.random((1000, 12)) < np.geomspace(0.004, 0.3, 12)).astype(np.uint8)
    labels[rng.random(1000) < 0.2] = 0
    chosen = stratified_many(labels, 0.2, np.random.default_rng(0))
    totals = labels.sum(axis=0)
    shares = labels[chosen].sum(axis=0) / totals
    assert totals.min() < 6
    assert (np.abs(shares - 0.2) * totals <= 1 + 0.03 * totals).all()
    assert chosen[labels.sum(axis=1) == 0].mean() == pytest.approx(0.2, abs=0.01)
    assert chosen.mean() == pytest.approx(0.2, abs=0.02)
    again = stratified_many(labels, 0.2, np.random.default_rng(0))
    assert (again == chosen).all()


def test_names_of_their_own_for_each_image_are_refused_before_they_take_memory():
    """20,000 images times 40,000 names: 800 MB."""
    values, lengths = np.char.add("w", np.arange(40_000).astype(str)), np.full(20_000, 2)
    with pytest.raises(DataError, match="40000 labels of 20000 images have 40000 different names"):
        labels_of_lists(lengths, values, None, "tags", str)


def test_a_label_of_one_image_alone_stays_in_training_and_that_is_said():
    write(*numbered("data", 12))
    rows = [f"{i}.png,{'ab'[i % 2]}|{'c' if i == 5 else ''}" for i in range(11)]
    lines("data/labels.csv", "image,labels", *rows, "11.png,")
    data = load(DataConfig("images:data"))
    assert data.many_labels
    assert data.train.labels[:, 2].sum() == 1
    assert describe(data) == (
        "3 classes of 1 to 5 training images, 3 x 6 x 6; 1.0 labels an image; "
        "1 training image without a label; labels of labels.csv; no validation images of c"
    )


def test_some_images_have_about_their_share_of_each_label():
    rng = np.random.default_rng(0)
    hot = (rng.random((400, 3)) < (0.1, 0.3, 0.5)).astype(np.uint8)
    np.savez("data.npz", images=np.zeros((400, 6, 5), np.uint8), labels=hot)
    data = load(DataConfig("npz:data.npz", limit=100))
    labels = np.concatenate([data.train.labels, data.validation.labels])
    assert len(labels) == 100
    np.testing.assert_allclose(labels.mean(axis=0), hot.mean(axis=0), atol=0.04)


def test_labels_of_a_test_split_are_matched_by_name():
    write(*numbered("data/train", 6), *numbered("data/test", 2))
    rows = [f"{i}.png,{1 - i % 2},{i % 2},{int(i > 2)}" for i in range(6)]
    lines("data/train/labels.csv", "image,x,y,z", *rows)
    lines("data/test/labels.csv", "image,labels", "0.png,z|x", "1.png,y")
    config = DataConfig("images:data")
    data = load(config)
    assert load_test(config, data).labels.tolist() == [[1, 0, 1], [0, 1, 0]]


def test_labels_from_python_are_those_of_the_archive_that_keeps_them(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 6, 5, 3), np.uint8)
    hot = rng.integers(0, 2, (12, 3), np.uint8)
    path, _ = write_archive(arrays_of((images, torch.from_numpy(hot).bool())), tmp_path)
    data = load(DataConfig(f"npz:{path}"))
    assert data.classes == ("0", "1", "2")
    assert (data.class_counts + data.validation.labels.sum(axis=0)).tolist() == hot.sum(0).tolist()


def test_tables_from_python_match_labels_by_name(tmp_path):
    described_table(["ant", "bee", "cow"], [[0, 1], [2], []] * 4)
    described_table(["cow", "bee"], [[0], [0, 1]], "test")
    tables = {
        split: datasets.Dataset.from_parquet(
            f"data/{split}-00000-of-00001.parquet", cache_dir=tmp_path / split
        )
        for split in ("train", "test")
    }
    path, _ = write_archive(arrays_of(tables), tmp_path)
    config = DataConfig(f"npz:{path}")
    data = load(config)
    assert data.classes == ("ant", "bee", "cow")
    assert load_test(config, data).labels.tolist() == [[0, 0, 1], [0, 1, 1]]


def hub_layout() -> None:
    """A data set's repository on the hub: a card with its files, and Parquet in ``data``."""
    described_table(["ant", "bee", "cow"], [[0, 1], [2], []] * 4)
    described_table(["ant", "bee", "cow"], [[1], [0, 2]], "test")
    Path("animals/data").mkdir(parents=True)
    for split in ("train", "test"):
        Path(f"data/{split}-00000-of-00001.parquet").rename(f"animals/data/{split}-00000.parquet")
    lines(
        "animals/README.md", "---", "configs:", "- config_name: default", "  data_files:",
        "  - split: train", "    path: data/train-*", "  - split: test", "    path: data/test-*",
        "---", "# Animals",
    )  # fmt: skip


def test_a_data_set_of_the_hub_is_read_by_its_card(monkeypatch, tmp_path):
    """`datasets` reads a local folder with the code that it reads a downloaded one with."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    hub_layout()
    config = DataConfig("hub:animals")
    data = load(config)
    assert data.many_labels
    assert probe(config) == ((3, 6, 6), 3, True)
    assert data.classes == ("ant", "bee", "cow")
    assert load_test(config, data).labels.tolist() == [[0, 1, 0], [1, 0, 1]]


def test_a_data_set_of_the_hub_may_be_folders_of_pictures(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folders(train__cat=3, train__dog=4, test__dog=2)
    lines("data/README.md", "# Cats and dogs")
    config = DataConfig("hub:data")
    data = load(config)
    assert data.classes == ("cat", "dog")
    assert data.class_counts.tolist() == [2, 3]
    assert not data.many_labels
    assert load_test(config, data).labels.tolist() == [1, 1]
