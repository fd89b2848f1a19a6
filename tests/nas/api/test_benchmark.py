"""A table of all trainings of a space, as people use it."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest

import nas
from nas.api.benchmark import Benchmark, write_benchmark
from nas.space.errors import InputError
from tests.nas.tabular import SECTIONS, table_of


def accuracy(network, epochs, seed):
    """Better the longer, with an activation and with one segment; the second seed is luckier."""
    choices = network.choices
    good = (choices["block0.activation"] == "relu") + (choices["block0.segments"] == 1)
    return 0.3 + 0.1 * good + 0.05 * epochs + 0.02 * seed


@pytest.fixture(scope="module")
def table() -> Benchmark:
    return table_of(nas.SearchSpace(SECTIONS), accuracy)


@pytest.fixture
def folder(table, tmp_path):
    (tmp_path / "space.yaml").write_text(json.dumps(SECTIONS))  # which is YAML, too
    write_benchmark(table, tmp_path)
    return tmp_path


def test_a_table_is_read_as_it_was_written(table, folder):
    read = nas.load_benchmark(folder)
    assert read.trainings == table.trainings
    assert (read.extent, read.missing, read.full) == (table.extent, 0, 4)
    assert repr(read) == "<Benchmark tabular: 4 networks, 24 trainings>"


def test_a_training_is_looked_up_by_its_choices_or_by_its_architecture(table):
    for network in table.networks:
        by_choices = table.look_up(network.choices, epochs=2, seed=1)
        assert by_choices == table.look_up(network.architecture, epochs=2, seed=1)
        assert by_choices.accuracy == accuracy(network, 2, 1)
        assert len(by_choices.accuracies) == 2
        assert by_choices.test_accuracy is None  # of the longest schedule alone
    two_are_enough = {"block0.segments": 1, "block0.activation": "relu"}
    assert table.look_up(two_are_enough, 4, 0).accuracy == pytest.approx(0.7)


def test_what_is_not_in_the_table_is_said(table):
    choices = table.networks[0].choices
    with pytest.raises(LookupError, match="3 epochs and seed 0; it is of 4 networks, epochs 1, 2"):
        table.look_up(choices, epochs=3, seed=0)
    with pytest.raises(LookupError, match="no network with these choices"):
        table.look_up({"block0.segments": 7}, epochs=2, seed=0)
    with pytest.raises(LookupError, match="test images were read after 4 epochs only"):
        table.mean_accuracy(table.networks[0].key, epochs=2, test=True)


def test_the_front_is_that_of_mean_accuracies_after_the_longest_schedule(table):
    cheapest, best = table.best_front
    assert (cheapest.choices["block0.segments"], best.choices["block0.segments"]) == ("C", 1)
    assert {n.choices["block0.activation"] for n in table.best_front} == {"relu"}
    assert cheapest.macs < best.macs
    assert table.mean_accuracy(best.key, 4) == pytest.approx(0.3 + 0.2 + 0.2 + 0.01)
    assert table.mean_accuracy(best.key, 4, test=True) == pytest.approx(0.7)


def test_a_failed_training_counts_as_no_accuracy(table):
    key = table.networks[0].key
    kept = table.trainings[key, 4, 0]
    failed = replace(kept, accuracy=None, test_accuracy=None, reason="not finite: nan")
    damaged = replace(table, trainings={**table.trainings, (key, 4, 0): failed})
    lucky = table.look_up(table.networks[0].architecture, 4, 1).accuracy
    assert damaged.mean_accuracy(key, 4) == pytest.approx(lucky / 2)


def test_seconds_are_the_median_of_a_network_not_what_one_training_waited(table):
    network = table.networks[0]
    slow = replace(table.trainings[network.key, 2, 0], seconds=1e6)
    waited = replace(table, trainings={**table.trainings, (network.key, 2, 0): slow})
    assert waited.seconds(network.key, 4) == pytest.approx(4 * network.macs / 1e5)


def test_a_part_of_a_table_is_of_use_and_says_so(table, folder):
    first_seed = {key: training for key, training in table.trainings.items() if key[2] == 0}
    write_benchmark(replace(table, trainings=first_seed), folder)
    with pytest.warns(UserWarning, match="4 networks, 12 trainings, 12 missing"):
        part = nas.load_benchmark(folder)
    assert part.look_up(part.networks[0].choices, 4, 0).accuracy is not None
    with pytest.raises(LookupError, match="12 trainings are missing"):
        _ = part.best_front


def test_other_programs_read_the_table(folder):
    frame = pd.read_parquet(folder / "trainings.parquet")
    assert len(frame) == 24
    assert set(frame["block0.segments"]) == {"1", "C"}
    assert frame.groupby("epochs")["accuracy"].mean().is_monotonic_increasing
    assert list(frame["accuracies"].str.len()) == list(frame["epochs"])


def test_a_table_that_is_not_there_or_not_one_is_said(folder):
    with pytest.raises(InputError, match=r"no .*studies/nothing/space.yaml\nhint: tables are in"):
        nas.load_benchmark("nothing")
    table = pq.read_table(folder / "trainings.parquet")
    pq.write_table(table.replace_schema_metadata(None), folder / "trainings.parquet")
    with pytest.raises(InputError, match="is not a table of trainings"):
        nas.load_benchmark(folder)
    (folder / "trainings.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="is not a table of trainings"):
        nas.load_benchmark(folder)


def test_a_table_of_another_space_is_refused(folder):
    other = SECTIONS | {"network": {"stem": {"channels": 6}, "blocks": [{"channels": 12}]}}
    (folder / "space.yaml").write_text(json.dumps(other))
    with pytest.raises(InputError, match=r"4 networks of .* are not in"):
        nas.load_benchmark(folder)


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({"training": {"epochs": 4, "batch_size": 32}}, "training.batch_size: was 16, is now 32"),
        (
            {"data": SECTIONS["data"] | {"limit": 60}, "study": {"seed": 1}},
            "data.limit: was 80, is now 60\nstudy.seed: was 0, is now 1",
        ),
    ],
)
def test_a_table_of_other_trainings_is_refused(folder, changed, lines):
    (folder / "space.yaml").write_text(json.dumps(SECTIONS | changed))
    with pytest.raises(InputError) as error:
        nas.load_benchmark(folder)
    found = [
        line.partition(" is not of the space.yaml beside it: ")[2]
        for line in str(error.value).splitlines()
    ]
    assert found == lines.splitlines()


def test_where_images_lie_and_how_trainings_are_started_makes_no_other_table(folder):
    moved = {"data": SECTIONS["data"] | {"source": "images:elsewhere", "memory": "1G"}}
    started = {"training": SECTIONS["training"] | {"graph": "off"}}
    (folder / "space.yaml").write_text(json.dumps(SECTIONS | moved | started))
    assert nas.load_benchmark(folder).missing == 0


def test_a_published_table_that_is_not_trained_yet_says_what_trains_it(tmp_path, monkeypatch):
    monkeypatch.setattr("nas.api.benchmark.STUDIES", tmp_path / "studies")
    folder = tmp_path / "studies" / "spectrum-bench"
    folder.mkdir(parents=True)
    (folder / "space.yaml").write_text(json.dumps(SECTIONS))
    command = "hint: python benchmarks/spectrum_bench.py --data DIR trains it"
    with pytest.raises(InputError, match=f"there is no .*trainings.parquet\n{command}"):
        nas.load_benchmark("spectrum-bench")
