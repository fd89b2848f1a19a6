"""A trial: what it measures and saves, and how it fails."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.trials.training import CPU, EXPLODING, QUICK, needs_gpu, network
from trials import failpoint
from trials.measure import Latency
from trials.train import Resident, evaluate
from trials.trial import ON_DEMAND, Subject, run_trial


def subject(build) -> Subject:
    return Subject("k" * 16, "{}", build, (3, 8, 8), macs=100, params=10)


def test_a_trial_measures_each_seed_and_saves_the_first_ones_weights(resident, tmp_path):
    file = tmp_path / "weights" / "0.safetensors"
    measured = run_trial(subject(network), resident, "f" * 16, QUICK, (1, 2), {"latency_ms"}, file)
    assert [m.seed for m in measured] == [1, 2]
    assert all(m.state == "complete" and m.latency_ms > 0 for m in measured)
    assert all(len(m.curve) == 3 and m.accuracy == m.curve[-1][2] for m in measured)
    assert all(m.images_per_second > 0 and m.threads == torch.get_num_threads() for m in measured)
    again = network()
    again.load_state_dict(load_file(file))
    assert evaluate(again, resident.validation)[1] == measured[0].accuracy


def test_what_was_measured_is_not_lost_with_the_weights(resident, tmp_path, monkeypatch):
    """A disk that is full has no room for megabytes, and has it for a result."""
    monkeypatch.setattr(failpoint, "_fault", failpoint._fault_of("file.replace:ENOSPC"))
    file = tmp_path / "0.safetensors"
    with pytest.warns(UserWarning, match=r"0\.safetensors is not kept: .*No space left"):
        (measured,) = run_trial(subject(network), resident, "f", QUICK, (1,), weights=file)
    assert (measured.state, len(measured.curve)) == ("complete", 3)
    assert not file.exists()


def test_a_trials_initial_weights_are_drawn_from_its_seed(resident):
    def build():
        built = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
        seen.append(built[1].weight.detach().clone())
        return built

    seen: list[torch.Tensor] = []
    run_trial(subject(build), resident, "f", QUICK, (3, 4))
    run_trial(subject(build), resident, "f", QUICK, (3,))
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])


def test_the_test_split_is_evaluated_where_it_is_there(data):
    tested = Resident(data, CPU, data.validation)
    (measured,) = run_trial(subject(network), tested, "f", QUICK, (1,))
    assert measured.test_accuracy == measured.accuracy
    (untested,) = run_trial(subject(network), Resident(data, CPU), "f", QUICK, (1,))
    assert untested.test_accuracy is None


def test_a_network_over_the_latency_limit_is_not_trained(resident, monkeypatch):
    monkeypatch.setattr("trials.trial.measure_latency", lambda *_: Latency(7.25, 0.1))
    limited = partial(run_trial, subject(network), resident, "f", QUICK, (1, 2))
    (rejected,) = limited(latency_at_most_ms=5.0)
    assert (rejected.state, rejected.curve, rejected.latency_ms) == ("rejected", (), 7.25)
    assert rejected.reason == "its latency is more than 5 ms: 7.25 ms"
    inside = limited(latency_at_most_ms=7.25)
    assert [(m.state, m.latency_ms) for m in inside] == [("complete", 7.25)] * 2
    assert [m.accuracy for m in inside] == [m.accuracy for m in limited()]  # nothing else changes


def test_an_error_while_the_limit_is_checked_is_a_failure(resident):
    def broken():
        raise ValueError("no such layer")

    (failed,) = run_trial(subject(broken), resident, "f", QUICK, (1, 2), latency_at_most_ms=5.0)
    assert (failed.state, failed.reason) == ("failed", "ValueError: no such layer")


def test_what_takes_time_of_its_own_is_measured_only_where_it_is_wanted(resident):
    (measured,) = run_trial(subject(network), resident, "f", QUICK, (1,), {"accuracy"})
    assert measured.accuracy is not None
    assert all(getattr(measured, name) is None for name in ON_DEMAND)


def test_no_measurement_has_a_number_that_is_not_finite(resident):
    measured = run_trial(subject(network), resident, "f", QUICK, (1,))
    assert all(math.isfinite(x) for epoch in measured[0].curve for x in epoch)
    assert np.isfinite(measured[0].validation_loss)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError("no more"), "out of memory: no more"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory: CUDA out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory: Default"),
        (RuntimeError("shapes"), "RuntimeError: shapes"),
    ],
)
def test_a_trial_that_fails_says_why_and_does_not_raise(resident, error, reason):
    def build():
        raise error

    measured = run_trial(subject(build), resident, "f", QUICK, (1, 2))
    assert len(measured) == 1  # the other seed would fail as well
    assert measured[0].state == "failed"
    assert measured[0].reason.startswith(reason)
    assert "Traceback" in measured[0].traceback
    assert measured[0].accuracy is None


def test_a_gpu_that_is_of_no_use_any_more_ends_the_process_and_not_the_search(resident):
    """Every later trial of the process would fail; its death gives the trial back instead."""

    def build():
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(torch.AcceleratorError):
        run_trial(subject(build), resident, "f", QUICK, (1,))


def test_a_diverging_trial_is_failed_as_not_finite(resident):
    measured = run_trial(subject(network), resident, "f", EXPLODING, (1,))
    assert measured[0].state == "failed"
    assert measured[0].reason.startswith("not finite: loss ")


@needs_gpu
def test_a_trial_on_a_gpu_measures_latency_and_memory_and_saves_its_weights(data, tmp_path):
    resident = Resident(data, torch.device("cuda"))
    file = tmp_path / "0.safetensors"
    (measured,) = run_trial(subject(network), resident, "f", QUICK, (1,), {"latency_ms"}, file)
    assert measured.state == "complete", measured.traceback
    assert measured.device.startswith("cuda: ")
    assert measured.latency_ms > 0
    assert measured.peak_memory_bytes > 0
    loaded = network()
    loaded.load_state_dict(load_file(file))
    assert evaluate(loaded, Resident(data, CPU).validation)[1] == pytest.approx(
        measured.accuracy, abs=0.05
    )


@needs_gpu
def test_a_trial_that_needs_more_memory_than_a_gpu_has_costs_the_next_one_nothing(data):
    resident = Resident(data, torch.device("cuda"))

    def build():  # images of 32,768 x 32,768
        return nn.Sequential(nn.Upsample(scale_factor=4096), network())

    (failed,) = run_trial(subject(build), resident, "f", QUICK, (1,))
    assert failed.reason.startswith("out of memory: ")
    (measured,) = run_trial(subject(network), resident, "f", QUICK, (1,))
    assert measured.state == "complete"
