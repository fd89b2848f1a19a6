"""What makes two searches the same study, and two trainings the same one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest

from nas.study.identity import SpaceChanged
from nas.study.records import read_records
from tests.nas.driving import FAILED, SPACE, finish, measured, open_driver, read_space, states
from tests.trials.data_sets import numbered, write
from trials.data import load


def test_another_programs_study_is_refused(sqlite):
    study = optuna.create_study(study_name="tiny", storage=str(sqlite), directions=["maximize"] * 2)
    study.add_trial(optuna.trial.create_trial(values=[1.0, 2.0]))
    with pytest.raises(SpaceChanged, match="study tiny was made by another program"):
        open_driver(sqlite)


def test_a_changed_space_is_refused_with_what_changed(url):
    open_driver(url).close()
    with pytest.raises(SpaceChanged) as caught:
        open_driver(
            url, "training.epochs=3", "search.activation=[none, elu]", "network.blocks[0].stride=2"
        )
    assert str(caught.value).splitlines() == [
        "network.blocks[0].stride: was 1, is now 2",
        "search.activation: was [none, relu], is now [none, elu]",
        "training.epochs: was 1, is now 3",
    ]


def test_changed_images_are_refused(sqlite):
    open_driver(sqlite).close()
    with pytest.raises(SpaceChanged, match=r"images: their fingerprint was \w+, is now \w+"):
        open_driver(sqlite, "data.limit=104")


def test_more_trials_and_other_resources_are_no_change(sqlite):
    driver = open_driver(sqlite)
    finish(driver)
    driver.close()
    driver = open_driver(sqlite, "study.trials=9", "resources.cpus_per_trial=2")
    assert len(finish(driver)) == 3
    driver.close()
    driver = open_driver(sqlite, "study.trials=2")
    assert driver.finished
    assert driver.next() is None
    driver.close()


def test_moved_data_is_found_where_it_is_now(sqlite):
    data = load(read_space(SPACE).file.data.config)
    for place in ("here", "there"):
        np.savez(f"{place}.npz", images=data.train.images, labels=data.train.labels)
        text = SPACE.replace(
            "{source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}",
            f"{{source: 'npz:{place}.npz'}}",
        )
        open_driver(sqlite, text=text).close()
    assert read_records(sqlite, "tiny").document["data"]["source"] == "npz:there.npz"


def test_where_images_are_kept_is_no_change(sqlite, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(*numbered("data/cat", 30), *numbered("data/dog", 30))
    pictures = "data={source: 'images:data', memory: %s}"
    open_driver(sqlite, pictures % "1K").close()
    assert len(list(Path("cache").rglob("*.npy"))) == 1
    assert read_records(sqlite, "tiny").file.data.config.memory == 1000
    assert read_records(sqlite, "tiny", cache=False).file.data.config.memory is None
    open_driver(sqlite, pictures % "null").close()
    assert read_records(sqlite, "tiny").file.data.config.memory is None


@pytest.mark.parametrize("change", ["resources.cpus_per_trial=2", "resources.gpus_per_trial=1"])
def test_a_front_of_latencies_is_of_one_kind_of_device(sqlite, change):
    latency = "objectives={minimize: latency_ms}"
    open_driver(sqlite, latency).close()
    with pytest.raises(
        SpaceChanged, match=r"resources\.(threads|device): was (1|cpu), is now (2|cuda)"
    ):
        open_driver(sqlite, latency, change)


def test_a_value_that_is_written_out_is_the_same_as_the_recipes(sqlite):
    text = SPACE.replace("epochs: 1, ", "epochs: 1, weight_decay: 5e-4, ")
    open_driver(sqlite).close()
    open_driver(sqlite, text=text).close()


def test_what_was_measured_before_is_not_trained_again(url):
    """A second study in the same database, over the same space and seed."""
    driver = open_driver(url)
    keys = finish(driver)
    driver.close()
    driver = open_driver(url, name="second")
    trained = finish(driver)
    driver.close()
    records = read_records(url, "second")
    assert len(records.complete) == 6
    assert not set(trained) & set(keys)
    assert {r.architecture.key for r in records.complete} - set(trained) <= set(keys)


def test_a_failure_is_only_repeated_where_it_would_happen_again(sqlite):
    """Not a number is the same again; memory or a disk may be free the next time."""
    for name, reason in (("full", "OSError: no space left on device"), ("nan", FAILED["reason"])):
        driver = open_driver(sqlite, "study.sampler=grid", f"study.seed={len(name)}", name=name)
        first = driver.next()
        driver.record(first.trial, measured(driver, first, **FAILED | {"reason": reason}))
        driver.close()
        driver = open_driver(
            sqlite, "study.sampler=grid", f"study.seed={len(name)}", name=f"{name} again"
        )
        again = driver.next()
        assert (again.architecture.key == first.architecture.key) == (name == "full")
        driver.close()


def test_a_latency_is_never_taken_from_another_study(sqlite):
    """It may be of another machine."""
    latency = ("study.sampler=grid", "objectives={minimize: latency_ms}")
    driver = open_driver(sqlite, *latency)
    spec = driver.next()
    driver.record(spec.trial, measured(driver, spec, latency_ms=1.0))
    driver.close()
    driver = open_driver(sqlite, *latency, name="second")
    assert driver.next().architecture == spec.architecture
    driver.close()


def test_another_recipe_number_of_epochs_or_seed_is_another_measurement(sqlite):
    driver = open_driver(sqlite, "study.sampler=grid")
    keys = finish(driver)
    driver.close()
    for index, change in enumerate(
        ["training.epochs=2", "training.learning_rate=0.01", "study.seed=1", "data.limit=200"]
    ):
        driver = open_driver(sqlite, "study.sampler=grid", change, name=f"other{index}")
        assert finish(driver) == keys, change
        driver.close()
    driver = open_driver(sqlite, "study.sampler=grid", name="same")
    assert finish(driver) == []
    assert states(sqlite, "same") == {"COMPLETE": 6}
    driver.close()
