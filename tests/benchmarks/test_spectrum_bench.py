"""The script that trains every network of a space, on a tiny one."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from sqlalchemy.engine import make_url

import nas
from nas.api.benchmark import Benchmark, Extent
from nas.architecture.cost import count_cost
from nas.engine.trial_spec import trial_seed
from nas.network.subject import subject_of
from tests.nas.tabular import SECTIONS, table_of
from trials.data import load
from trials.store import Store
from trials.train import Resident
from trials.trial import run_trial


@pytest.fixture
def benchmark():
    return Benchmark(nas.SearchSpace(SECTIONS), Extent((1, 2), 2, {"data": "ours"}), {})


@pytest.fixture
def store(tmp_path):
    store = Store(make_url(f"sqlite:///{tmp_path / 'trainings.db'}"))
    yield store
    store.close()


OLDER = {"processor": "486", "commit": "abc", "date": "2026-11-25"}
NEWER = {"processor": "586", "commit": "abc", "date": "2026-11-27"}


class Bench:
    """The script on a store, with a thread in place of its processes."""

    def __init__(self, benchmark, store):
        import spectrum_bench

        self.script, self.benchmark, self.store = spectrum_bench, benchmark, store
        self.config = benchmark.space.file.data.config
        self.fingerprint = spectrum_bench.images_of(self.config).fingerprint

    def missing(self):
        return self.script.missing_tasks(self.benchmark, self.store, self.fingerprint)

    def train(self, tasks, store=None, environment=OLDER):
        pool, console = ThreadPoolExecutor(1), Console(quiet=True)
        self.script.train_all(tasks, self.config, store or self.store, pool, console, environment)

    def write(self, work):
        table = self.script.with_results(self.benchmark, self.store, self.fingerprint)
        return self.script.write(table, work, Console(quiet=True))


@pytest.fixture
def bench(benchmark, store):
    return Bench(benchmark, store)


@pytest.fixture
def published(bench, tmp_path, monkeypatch):
    """Where the published table is, with its space."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "space.yaml").write_text(json.dumps(SECTIONS))
    monkeypatch.setattr(bench.script, "FOLDER", folder)
    return folder


def test_the_first_seed_of_all_networks_comes_first_and_its_shortest_schedules(bench):
    tasks = bench.missing()
    assert [(t.replicate, t.recipe.epochs) for t in tasks] == [
        (seed, epochs) for seed in (0, 1) for epochs in (1, 2) for _ in range(4)
    ]
    assert len({t.training(bench.fingerprint) for t in tasks}) == 16
    assert all(t.judged == (t.recipe.epochs == 2) for t in tasks)


def test_a_training_is_that_of_a_trial_of_a_search(bench):
    task = bench.missing()[0]
    trained = bench.script.train(task, bench.config)
    space, data = bench.benchmark.space, load(bench.config)
    (expected,) = run_trial(
        subject_of(task.architecture, count_cost(task.architecture)),
        Resident(data, torch.device("cpu")),
        data.summary.fingerprint,
        replace(space.file.training.full_recipe, epochs=1),
        [trial_seed(space.file.study.seed, task.architecture.key, 0)],
    )
    assert trained.training == expected.training
    assert trained.curve == expected.curve


def test_it_goes_on_where_it_was_and_trains_nothing_twice(bench, published, tmp_path):
    """Only the complete table takes the published one's place, and knows where its rows are from."""
    from spectrum_figures import figures_of

    work = tmp_path / "work"
    work.mkdir()
    bench.train(bench.missing()[:6])
    before = bench.store.all()
    assert len(before) == 6
    assert bench.write(work) == work
    with pytest.warns(UserWarning, match="6 trainings, 10 missing"):
        part = nas.load_benchmark(work)
    bench.train(bench.missing(), environment=NEWER)
    assert bench.store.all()[:6] == before
    assert bench.missing() == []
    assert bench.write(work) == published
    table = nas.load_benchmark(published)
    assert table.missing == 0
    assert part.trainings.items() <= table.trainings.items()
    for training in table.trainings.values():
        assert len(training.accuracies) == training.epochs
        assert (training.test_accuracy is None) == (training.epochs == 1)
    places = [
        (place["processor"], place["from"], place["trainings"])
        for place in table.extent.about["environments"]
    ]
    assert places == [("486", "2026-11-25", 6), ("586", "2026-11-27", 10)]
    _, place = figures_of(part)
    assert place.startswith(f"486, abc, torch {torch.__version__}, kernels: ")
    assert place.endswith(", 6 trainings, 2026-11-25 to 2026-11-25")


def test_a_table_of_other_images_leaves_the_published_one_as_it_is(bench, published, tmp_path):
    work, made = tmp_path / "work", table_of(bench.benchmark.space, lambda *_: 0.5, (1, 2))
    work.mkdir()
    for images, folder in (("ours", published), ("theirs", work), ("ours", published)):
        table = replace(made, extent=replace(made.extent, about={"data": images}))
        assert bench.script.write(table, work, Console(quiet=True)) == folder


def test_what_was_being_trained_when_it_was_stopped_is_kept(bench):
    class Stopped(Store):
        def add(self, measurement):
            super().add(measurement)
            if len(self.all()) == 1:
                raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        bench.train(bench.missing(), Stopped(bench.store.engine.url))
    kept = len(bench.store.all())
    assert 1 <= kept < 16
    assert len(bench.missing()) == 16 - kept


def test_its_figures_are_those_of_the_table():
    from spectrum_figures import figures_of

    space = nas.SearchSpace(SECTIONS | {"network": {"stem": {"channels": 8}, "blocks": BLOCKS}})
    scores = {"relu": 0.1, "none": 0.0}

    def accuracy(network, epochs, seed):
        return 0.2 + scores[network.choices["block0.activation"]] + epochs / 50 + seed / 100

    text = "\n".join(figures_of(table_of(space, accuracy)))
    assert "96 trainings of 16 networks (0 missing, 0 failed)" in text
    # The standard deviation of 8 networks at 28.5% and 8 at 38.5%, less what two seeds add to it.
    assert "| 4 | 28.5% | 33.5% | 38.5% | 5.14% | 0.71% | " in text
    (front,) = [
        line for line in text.splitlines() if line.startswith("| C, relu, spatial_first | C")
    ]
    assert front.endswith("| 38.5% | 37.5% |")


BLOCKS = [{"channels": 12}, {"channels": 12}]
