"""What real workers do, searched for from the test's own process on a Ray that all tests share."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nas.api.run_search import run_search
from nas.search import app
from nas.study.records import confirmation_name, read_records
from tests.nas.searching import SMOKE, states, url_of
from tests.trials.data_sets import numbered, write
from trials.right_answers import unpacked
from trials.store import Store
from trials.trial import run_trial

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("one_ray")]


@pytest.fixture(autouse=True)
def _without_results(monkeypatch):
    """They take seconds, and are not what this is about."""
    monkeypatch.setattr("nas.api.run_search._write_results", lambda *_: None)


def search(*options: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(app, ["--space", str(SMOKE), *options])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.output


def run_in_workers(monkeypatch, run) -> None:
    """In place of `run_trial`; a function inside a test reaches the workers by value."""
    from nas.engine import ray_worker

    monkeypatch.setattr(ray_worker, "Job", partial(ray_worker.Job, run=run))


def test_a_trial_whose_loss_is_not_finite_fails_and_the_search_goes_on(monkeypatch):
    def broken(subject, data, fingerprint, recipe, seeds, **rest):
        from dataclasses import replace

        def build():
            network = subject.build()
            if seeds[0] % 3 == 0:
                next(network.parameters()).data.fill_(float("nan"))
            return network

        return run_trial(replace(subject, build=build), data, fingerprint, recipe, seeds, **rest)

    run_in_workers(monkeypatch, broken)
    shown = search("--trials", "6")
    found = states(url_of())
    assert found["COMPLETE"] == 6
    assert found["FAIL"] >= 1
    assert set(found) == {"COMPLETE", "FAIL"}
    reasons = [t.reason for t in read_records(url_of(), "smoke").trials if t.state == "failed"]
    assert all(reason.startswith("not finite: loss nan in training") for reason in reasons)
    assert "failed: not finite: loss nan in training" in shown
    failed = [m for m in Store(url_of()).all() if m.state == "failed"]
    assert len(failed) == found["FAIL"]


def test_nothing_is_kept_of_trials_that_have_ended(monkeypatch):
    """A search of days would fill its memory, and its disk with folders, for each trial has two."""
    import ray
    from ray.tune.experiment import Trial

    def nothing(subject, _data, fingerprint, recipe, seeds, **_rest):
        from trials.measurement import Measurement

        cost = {"macs": subject.macs, "params": subject.params}
        names = {"architecture_key": subject.key, "architecture": subject.description}
        training = {"data": fingerprint, "recipe": recipe.key, "epochs": recipe.epochs}
        result = {"accuracy": 0.5, "curve": ((1.0, 1.0, 0.5),)}
        return tuple(
            Measurement(**names, **training, **cost, **result, seed=seed) for seed in seeds
        )

    run_in_workers(monkeypatch, nothing)
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    kept, folders = [], []

    def look(_record) -> None:
        gc.collect()
        kept.append(sum(type(thing) is Trial for thing in gc.get_objects()))
        folders.append(len(list(session.glob("artifacts/*/*/*/*/"))))

    run_search(SMOKE, trials=24, callbacks=[look], quiet=True)
    assert len(kept) == 24
    assert max(kept) - min(kept) <= 8
    assert max(folders) - min(folders) <= 8


def test_workers_share_one_copy_of_the_data(monkeypatch, tmp_path):
    """It stays in Ray's store, which all of them map into their memory."""
    images = np.random.default_rng(0).integers(0, 256, (600, 32, 32, 3), dtype=np.uint8)
    np.savez("data.npz", images=images, labels=np.arange(600) % 4)
    maps = tmp_path / "maps"

    def locate_images(subject, data, *rest, **options):
        """Note the memory map in which a worker's images are."""
        address = data.train.images.data_ptr()
        for line in Path("/proc/self/maps").read_text().splitlines():
            low, high = (int(bound, 16) for bound in line.split()[0].split("-"))
            if low <= address < high:
                with maps.open("a") as file:
                    file.write(f"{line}\n")
        return run_trial(subject, data, *rest, **options)

    run_in_workers(monkeypatch, locate_images)
    data = f"data={{source: 'npz:{tmp_path / 'data.npz'}', validation: 0.5}}"
    search("--trials", "3", "--set", data)
    lines = maps.read_text().splitlines()
    assert len(lines) == 3
    assert all("/plasma" in line for line in lines)


@pytest.fixture
def pictures(monkeypatch, tmp_path) -> str:
    """Sixty of them, which are more than memory is to hold."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("cat", "dog"):
        write(*numbered(f"data/{name}", 30))
    return f"data={{source: 'images:{tmp_path / 'data'}', resize: {{size: 8}}, memory: 1K}}"


def test_workers_read_the_file_of_images_that_memory_has_no_room_for(monkeypatch, pictures):
    def in_a_file(subject, data, *rest, **options):
        from trials.data.image_file import ImageFile

        assert isinstance(data.train.images, ImageFile)
        return run_trial(subject, data, *rest, **options)

    in_memory = search("--trials", "2", "--set", pictures, "--no-cache")
    run_in_workers(monkeypatch, in_a_file)
    cached = search("--trials", "2", "--set", pictures, "--study", "cached")
    (file,) = Path("cache").rglob("*.npy")
    assert f"cached 0.0 GB in {file.absolute()}" in cached
    assert "cached" not in in_memory
    first, second = (
        {m.architecture_key: m.curve for m in Store(url_of(name)).all()}
        for name in ("smoke", "cached")
    )
    assert first == second


def test_a_node_without_the_file_of_images_ends_the_search_before_a_trial(monkeypatch, pictures):
    from nas.engine import ray_tune

    run = ray_tune.run

    def without_the_file(*arguments):
        shutil.rmtree("cache")
        run(*arguments)

    monkeypatch.setattr(ray_tune, "run", without_the_file)
    result = CliRunner().invoke(app, ["--space", str(SMOKE), "--set", pictures])
    assert result.exit_code == 2, repr(result.exception)
    assert "which has the decoded images, cannot be read on" in result.stderr
    assert "hint: the machines of a cluster need a cache that they share" in result.stderr
    assert states(url_of()) == {}


def test_options_reach_the_workers_and_the_database():
    options = ("--quiet", "--output", "elsewhere/mine", "--study", "named", "--trials", "3")
    assert search(*options, "--set", "objectives.minimize=latency_ms") == ""
    records = read_records("sqlite:///elsewhere/mine/study.db", "named")
    assert records.objectives == ("accuracy", "latency_ms")
    assert len(records.complete) == 3
    assert all(t.values[1] > 0 for t in records.complete)
    weights = {file.stem for file in Path("elsewhere/mine/weights").iterdir()}
    assert weights == {"0", "1", "2"}


def test_both_stages_of_a_search_run_on_one_ray(monkeypatch):
    """The confirmation alone is evaluated on the test split; no latency leaves out one of its arms."""
    from nas.engine import ray_nodes, ray_worker

    started, limits = [], []
    cluster, job = ray_nodes.cluster, ray_worker.Job

    def noted(**settings):
        limits.append(settings["latency_at_most_ms"])
        return job(**settings)

    monkeypatch.setattr(ray_nodes, "cluster", lambda *a: started.append(a) or cluster(*a))
    monkeypatch.setattr(ray_worker, "Job", noted)
    options = ("confirm={seeds: 2}", "data.limit=400", "latency_ms.at_most=1000")
    search("--trials", "3", *(word for option in options for word in ("--set", option)))
    records = read_records(url_of(), "smoke")
    assert records.confirmation.complete
    assert len(started) == 1
    assert limits == [1000.0, None]
    assert_each_seed_was_judged_on_images_of_its_own(records)


def assert_each_seed_was_judged_on_images_of_its_own(records):
    """By the workers, which hold the images once: as many answers as images of the part."""
    store = Store(url_of(), create=False)
    measurements = store.all(confirmation_name("smoke"))
    found = {(m.architecture_key, m.data, m.seed): m for m in measurements}
    sizes = {}
    for trial in records.confirmation.trials:
        data = trial.fold.fingerprint(records.data.fingerprint)
        measurement = found[trial.architecture.key, data, trial.seeds[0]]
        right = unpacked(measurement.validation_right)
        assert right.mean() == pytest.approx(trial.accuracy)
        sizes[trial.fold.number] = len(right)
    assert list(sizes.values()) == list(records.fresh_images.of_seed)
    store.close()


@pytest.mark.parametrize(
    ("option", "wanted", "message"),
    [
        ("--cpus-per-trial", "999", "a trial needs 999 CPUs and 0 GPUs of one node"),
        ("--gpus-per-trial", "64", "a trial needs 1 CPUs and 64 GPUs of one node"),
    ],
)
def test_resources_that_no_node_has_are_refused(option, wanted, message):
    result = CliRunner().invoke(app, ["--space", str(SMOKE), option, wanted])
    assert result.exit_code == 2, repr(result.exception)
    assert f"{option}: error: {message}" in result.stderr
    assert "RUNNING" not in states(url_of())


# A program that has something to do with Ray and with signals itself.
OWN_RAY = """
import signal, sys
import ray
import nas

mine = lambda *_: None
signal.signal(signal.SIGTERM, mine)
assert len(nas.run_search(sys.argv[1], trials=2, quiet=True).trials) == 2
assert signal.getsignal(signal.SIGTERM) is mine
assert not ray.is_initialized()

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
assert len(nas.run_search(sys.argv[1], trials=3, quiet=True).trials) == 3
assert ray.is_initialized()
"""


def test_a_program_may_use_ray_itself():
    run = subprocess.run(
        [sys.executable, "-c", OWN_RAY, str(SMOKE)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_balanced_accuracy_is_measured_where_classes_are_imbalanced(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    np.savez("data.npz", images=images, labels=np.repeat([0, 1, 2], [150, 30, 20]))
    shown = search("--trials", "2", "--set", f"data={{source: 'npz:{tmp_path / 'data.npz'}'}}")
    assert (
        "data: 3 classes of 16 to 120 training images, 3 x 8 x 8; "
        "75.0% of the validation images are of one class: balanced accuracy is measured, too"
    ) in shown
    records = read_records(url_of(), "smoke")
    assert all(0 < trial.balanced_accuracy < 1 for trial in records.complete)
    assert records.data.majority == 0.75


def test_a_ray_that_this_process_has_started_is_its_own():
    """So all of its workers reach the folder of the results."""
    from nas.engine import ray_nodes

    assert ray_nodes.is_own()
