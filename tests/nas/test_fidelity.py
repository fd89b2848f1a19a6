"""Rank agreement between short and long trainings."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from nas.analysis.fidelity import spread_sample
from nas.engine.claimed_folder import held_folder
from nas.engine.lock import DriverLock
from nas.engine.ray_failures import RayFailed
from nas.engine.stage import StageRunner
from nas.fidelity import app
from nas.statistics.rank_agreement import measure_fidelity
from nas.study.location import locate_study
from nas.study.records import read_records
from tests.nas.planting import MATCHED, Planted, search
from tests.nas.records import network, trial
from trials import failpoint

URL = make_url("sqlite:///runs/planted/study.db")


def planted_quality(count: int, noise: float, seeds: int = 2):
    """Architectures of known quality, measured with noise by each long seed."""
    rng = np.random.default_rng(0)
    quality = np.linspace(0, 1, count)
    return quality, quality[:, None] + rng.normal(0, noise, (count, seeds))


def test_agreement_is_kendalls_tau_and_the_ceiling_that_of_two_seeds():
    quality, long = planted_quality(12, 0.2)
    found = measure_fidelity(long, {"quality": quality})
    expected = np.mean([stats.kendalltau(quality, long[:, s]).statistic for s in (0, 1)])
    assert found.signals[0].tau == pytest.approx(expected)
    assert found.ceiling.tau == pytest.approx(stats.kendalltau(*long.T).statistic)
    assert found.ceiling.lower < found.ceiling.tau < found.ceiling.upper


def test_a_signal_as_good_as_another_seed_reaches_the_ceiling():
    _, long = planted_quality(40, 0.15, seeds=3)
    found = measure_fidelity(long[:, :2], {"a third seed": long[:, 2], "noise": noise(40)})
    third, nothing = found.signals
    assert third.of_ceiling == pytest.approx(1.0, abs=0.15)
    assert third.of_ceiling_interval[0] < 1 < third.of_ceiling_interval[1]
    assert nothing.lower < 0 < nothing.upper
    assert nothing.of_ceiling < 0.4


def noise(count: int):
    return np.random.default_rng(5).normal(size=count)


def test_architectures_that_no_seed_ranks_have_no_ceiling_to_share():
    long = np.random.default_rng(1).normal(0.7, 0.01, (8, 2))
    found = measure_fidelity(long, {"any": long[:, 0]})
    assert found.signals[0].of_ceiling is None


@pytest.mark.parametrize("shape", [(2, 2), (5, 1), (5,)])
def test_too_few_architectures_or_seeds_are_refused(shape):
    with pytest.raises(ValueError, match="three architectures or more"):
        measure_fidelity(np.zeros(shape), {})


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
    found = json.loads(Path("runs/planted/fidelity.json").read_text())
    assert found["ceiling"]["tau"] == pytest.approx(1.0)
    by_name = {signal["signal"]: signal for signal in found["signals"]}
    assert by_name["accuracy after all 2 epochs"]["tau"] == pytest.approx(1.0)
    assert by_name["accuracy after all 2 epochs"]["of_ceiling"] == pytest.approx(1.0)
    # The study itself is what it was.
    assert len(read_records(URL, "planted").complete) == 6

    again = Longer(EFFECTS)
    assert fidelity(monkeypatch, again, "--sample", "5").stdout == result.stdout
    assert again.trainings == []


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
    ],
)
def test_wrong_options_are_refused(monkeypatch, options, message):
    result = fidelity(monkeypatch, Longer(), *options)
    assert result.exit_code == 2
    assert message in result.stderr
