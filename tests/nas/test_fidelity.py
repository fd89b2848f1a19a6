"""Rank agreement between short and long trainings."""

from __future__ import annotations

import errno
import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from nas.analysis.fidelity import SLICES, spread_sample
from nas.engine.claimed_folder import held_folder
from nas.engine.lock import DriverLock
from nas.engine.ray_failures import RayFailed
from nas.engine.stage import StageRunner
from nas.fidelity import app
from nas.network.build import build_network
from nas.reporting.fidelity_table import uses
from nas.statistics.rank_agreement import Agreement, Estimate
from nas.study.location import locate_study
from nas.study.records import read_records
from nas.study.setting import Setting
from nas.study.untrained_network import untrained_signals
from tests.nas.planting import MATCHED, SEARCH, Planted, search
from tests.nas.records import network, trial
from trials import failpoint
from trials.data import load
from trials.zero_cost import grad_norm

URL = make_url("sqlite:///runs/planted/study.db")


def test_the_sample_spans_the_whole_range_of_accuracies():
    records = [trial(n, accuracy, network()) for n, accuracy in enumerate(np.linspace(0, 1, 50))]
    chosen = [t.accuracy for t in spread_sample(records[::-1], 5)]
    assert chosen == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.02)
    assert len(spread_sample(records[:4], 5)) == 4


class Longer(Planted):
    """Long trainings reach 0.2 more and keep the order."""

    def accuracy(self, spec, seed: int) -> float:
        more = 0.2 if spec.recipe.epochs > 2 else 0.0
        return super().accuracy(spec, seed) + more


EFFECTS = {
    "plain": -0.15,
    "1, spatial first": -0.1,
    "2, spatial first": -0.05,
    "C/4, spatial first": 0.05,
    "C, spatial first": 0.1,
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    """A folder in which a study was searched."""
    root = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        search(patch, Longer(EFFECTS), text=MATCHED.replace("confirm:", "#"))
    # The search writes this before its first trial.
    assert (root / "runs/planted/space.yaml").is_file()
    return root


@pytest.fixture
def planted(searched):
    """The study in the test's own folder."""
    shutil.copytree(searched / "runs", "runs")


def fidelity(monkeypatch, longer: Longer, *options: str):
    monkeypatch.setattr(StageRunner, "run", lambda _runner, *a, **k: longer.run(*a, **k))
    return CliRunner().invoke(app, ["--study", "planted", *options])


@pytest.mark.usefixtures("planted")
def test_the_command_trains_longer_and_compares(monkeypatch):
    longer = Longer(EFFECTS)
    result = fidelity(monkeypatch, longer, "--sample", "5", "--epochs", "4x")
    assert result.exit_code == 0, result.stderr
    assert len(longer.trainings) == 5 * 2
    assert longer.tested == 0
    assert "5 architectures, 2 epochs against 8" in result.stdout
    found = written()
    assert found["ceiling"]["tau"] == pytest.approx(1.0)
    by_name = {signal["signal"]: signal for signal in found["signals"]}
    assert by_name["accuracy after all 2 epochs"]["tau"] == pytest.approx(1.0)
    assert by_name["accuracy after all 2 epochs"]["of_ceiling"] == pytest.approx(1.0)
    # The study itself is what it was.
    assert len(read_records(URL, "planted").complete) == 6

    again = Longer(EFFECTS)
    assert fidelity(monkeypatch, again, "--sample", "5").exit_code == 0
    assert again.trainings == []
    assert untimed(written()) == untimed(found)


@pytest.mark.usefixtures("planted")
def test_cheap_signals_are_compared_too_and_their_cost_is_shown(monkeypatch):
    result = fidelity(monkeypatch, Longer(EFFECTS), "--epochs", "4x")
    found = written()
    names = [signal["signal"] for signal in found["signals"]]
    assert names == [
        "accuracy after all 2 epochs",
        "accuracy after the first epoch",
        "synflow",
        "jacob_cov",
        "grad_norm",
        "MACs",
        "parameters",
    ]  # losses are the same for all of them here, and rank nothing
    seconds = found["seconds"]
    assert seconds["seed to seed"] == pytest.approx(2 * seconds["accuracy after the first epoch"])
    assert seconds["accuracy after all 2 epochs"] == seconds["seed to seed"]  # planted, not timed
    assert seconds["validation loss after the first epoch, least first"] > seconds["synflow"] > 0
    assert all(signal["top"]["lower"] <= signal["top"]["upper"] for signal in found["signals"])
    for heading in ("top third", "seconds", "of the ceiling", *names):
        assert heading in result.stdout


@pytest.mark.usefixtures("planted")
def test_a_network_without_training_is_the_one_that_its_trial_began_with(monkeypatch):
    """Its minibatch is the same for all, and the first of a fixed order."""
    assert fidelity(monkeypatch, Longer(EFFECTS)).exit_code == 0
    records = read_records(URL, "planted")
    data = load(records.file.data.config)
    trials = records.complete[:2]
    found = [signals["grad_norm"].value for signals in untrained_signals(records, trials, data)]
    chosen = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:64]
    pixels = torch.from_numpy(data.train.images[chosen]).float()
    images = ((pixels - torch.tensor(data.mean)) / torch.tensor(data.std)).permute(0, 3, 1, 2)
    for trial_, value in zip(trials, found, strict=True):
        torch.manual_seed(trial_.seeds[0])
        network_ = build_network(trial_.architecture)
        labels = torch.from_numpy(data.train.labels[chosen])
        assert value == pytest.approx(grad_norm(network_, images, labels), rel=1e-4)


def test_what_slices_of_a_shared_network_rank_is_compared_too(monkeypatch):
    text = SEARCH.replace("trials: 10,", "trials: 4, warm: shared,").replace("confirm:", "#")
    text = text.replace("batch_size: 16", "batch_size: 40")
    assert search(monkeypatch, Longer({}), text=text).exit_code == 0
    longer = Longer({})
    result = fidelity(monkeypatch, longer)
    assert result.exit_code == 0, result.stderr
    assert SLICES in result.stdout
    assert written()["seconds"][SLICES] > 0
    # What it is compared with begins with weights of its own.
    records = read_records(URL, "planted:fidelity-8")
    assert {trial.warm_start for trial in records.trials} == {""}
    assert records.file.study.warm is None

    Path("runs/planted/shared.safetensors").unlink()
    assert fidelity(monkeypatch, longer).exit_code == 2


def written() -> dict:
    return json.loads(Path("runs/planted/fidelity.json").read_text())


def untimed(found: dict) -> dict:
    return {name: value for name, value in found.items() if name != "seconds"}


def ranked(name: str, tau: tuple[float, float], above: tuple[float, float, float] | None = None):
    return Agreement(
        *(name, sum(tau) / 2, *tau, None, None),
        above_baseline=Estimate(*above) if above else None,
    )


def test_what_is_useless_is_said_in_words():
    signals = (
        ranked("noise", (-0.2, 0.3), (-0.5, -0.8, -0.2)),
        ranked("backwards", (-0.8, -0.4), (-1.2, -1.5, -0.9)),
        ranked("size", (0.3, 0.6), (-0.1, -0.3, 0.1)),
        ranked("half", (0.5, 0.8), (0.1, -0.1, 0.3)),
        ranked("good", (0.8, 0.9), (0.4, 0.2, 0.6)),
        ranked("MACs", (0.4, 0.7)),
    )
    assert list(uses(signals)) == [
        "Useless here, as tau is not shown to be above zero: noise; backwards.",
        "Useless here, as MACs themselves rank as well: size.",
        "Not shown to rank better than MACs themselves: half.",
        "Better than MACs themselves: good.",
    ]


@pytest.mark.usefixtures("planted")
def test_what_workers_left_that_were_ended_is_removed(monkeypatch):
    outbox = Path("runs/planted/outbox/of-another")
    outbox.mkdir(parents=True)
    left = [
        folder / f"3.json.{socket.gethostname()}.999999999.partial"
        for folder in (outbox, Path("runs/planted"))
    ]
    for file in left:
        file.touch()
    assert fidelity(monkeypatch, Longer(EFFECTS)).exit_code == 0
    assert not any(file.exists() for file in left)


@pytest.mark.usefixtures("planted")
def test_how_long_nothing_may_happen_can_be_said(monkeypatch):
    patience = []

    def run(runner, *given, **more):
        patience.append(runner.stall_s)
        return Longer(EFFECTS).run(*given, **more)

    monkeypatch.setattr(StageRunner, "run", run)
    assert CliRunner().invoke(app, ["--study", "planted", "--stall", "3m"]).exit_code == 0
    assert patience == [180]


def test_an_arm_that_was_tuned_is_trained_longer_with_what_was_best_for_it(monkeypatch):
    text = MATCHED.replace("confirm:", "#") + "tune: {learning_rate: [1x, 2x], seeds: 1}\n"
    effects = EFFECTS | {"C/4, spatial first; learning rate 2x": 0.2}
    assert search(monkeypatch, Longer(effects), text=text).exit_code == 0
    assert fidelity(monkeypatch, Longer(effects)).exit_code == 0
    tuned = {arm.architecture.key: arm.setting for arm in read_records(URL, "planted").arms}
    longer = read_records(URL, "planted:fidelity-8")
    assert {t.architecture.key: t.setting for t in longer.complete} == tuned
    assert Setting(2.0) in tuned.values()


@pytest.mark.usefixtures("planted")
def test_an_interrupted_comparison_goes_on(monkeypatch):
    cut = Longer(EFFECTS, stop_after=3)
    result = fidelity(monkeypatch, cut)
    assert result.exit_code == 130
    assert "goes on" in result.stderr
    rest = Longer(EFFECTS)
    assert fidelity(monkeypatch, rest).exit_code == 0
    assert len(cut.trainings) + len(rest.trainings) == 6 * 2


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (RayFailed("Ray has failed: no node"), "Ray has failed: no node"),
    ],
)
def test_a_failure_of_the_machine_or_of_ray_is_a_line_and_loses_nothing(
    monkeypatch, error, message
):
    cut = Longer(EFFECTS, stop_after=3, stops_by=error)
    result = fidelity(monkeypatch, cut)
    assert result.exit_code == 1
    assert f"error: {message}" in result.stderr
    assert "the same command again goes on" in result.stderr
    rest = Longer(EFFECTS)
    assert fidelity(monkeypatch, rest).exit_code == 0
    assert len(cut.trainings) + len(rest.trainings) == 6 * 2


@pytest.mark.usefixtures("planted")
def test_beside_a_search_of_the_study_it_runs(monkeypatch):
    place = locate_study("planted", None)
    with DriverLock(place.url, place.name), held_folder(place):
        assert fidelity(monkeypatch, Longer(EFFECTS)).exit_code == 0


@pytest.mark.usefixtures("planted")
def test_a_disk_that_is_full_while_the_lock_is_taken_is_a_line(monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(failpoint, "_fault", failpoint._fault_of("lock.taken:ENOSPC"))
        result = fidelity(full, Longer(EFFECTS))
    assert result.exit_code == 1
    assert "hint: the same command again goes on" in result.stderr


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "2"], "the study has 2 epochs already; got 2"),
        (["--epochs", "four"], "expected epochs such as 40, or 4x; got 'four'"),
        (["--sample", "2"], "--sample"),
        (["--stall", "soon"], "--stall"),
    ],
)
def test_wrong_options_are_refused(monkeypatch, options, message):
    result = fidelity(monkeypatch, Longer(), *options)
    assert result.exit_code == 2
    assert message in result.stderr
