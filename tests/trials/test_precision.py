"""Training in bfloat16: what is computed in it, what is not, and where it is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.trials.training import CPU, QUICK, needs_gpu, network
from trials.data import DataConfig, load
from trials.precision import Unsupported, check_precision
from trials.train import Resident, train
from trials.trial import Subject, run_trial

BFLOAT16 = replace(QUICK, precision="bfloat16")


@pytest.fixture
def able(monkeypatch):
    """A processor that has bfloat16, or passes for one: PyTorch emulates it."""
    monkeypatch.setattr("trials.precision._has_bfloat16", lambda _: True)


@pytest.fixture
def unable(monkeypatch):
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)


def weights(net: nn.Module) -> torch.Tensor:
    return torch.cat([tensor.detach().flatten().float() for tensor in net.state_dict().values()])


@pytest.mark.usefixtures("able")
def test_convolutions_and_linear_layers_compute_in_bfloat16_and_nothing_is_kept_in_it(resident):
    outputs = {}
    net = network()
    for name in ("0", "1", "6"):
        net.get_submodule(name).register_forward_hook(
            lambda _, __, y, name=name: outputs.__setitem__(name, y.dtype)
        )
    training = train(net, resident, BFLOAT16, 0)
    assert outputs == dict.fromkeys(("0", "1", "6"), torch.bfloat16)
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert {b.dtype for b in net.buffers()} == {torch.float32, torch.int64}
    in_float32 = train(network(), resident, QUICK, 0)
    assert not torch.equal(weights(training.network), weights(in_float32.network))
    for epoch, exact in zip(training.curve, in_float32.curve, strict=True):
        assert epoch.train_loss == pytest.approx(exact.train_loss, rel=0.02)
        assert epoch.train_loss != float(torch.tensor(epoch.train_loss).bfloat16())


@pytest.mark.usefixtures("unable")
def test_on_a_cpu_the_precision_that_is_not_said_is_float32(resident):
    found = [
        weights(train(network(), resident, replace(QUICK, precision=precision), 0).network)
        for precision in (None, "float32")
    ]
    assert torch.equal(*found)


@pytest.mark.usefixtures("unable")
def test_a_processor_without_bfloat16_refuses_it_before_it_trains(resident):
    check_precision("float32", CPU)
    with pytest.raises(Unsupported, match="the cpu of this machine has no bfloat16"):
        train(network(), resident, BFLOAT16, 0)
    subject = Subject("k" * 16, "{}", network, (3, 8, 8), macs=100, params=10)
    (failed,) = run_trial(subject, resident, "f" * 16, BFLOAT16, (1,))
    assert failed.reason.startswith("Unsupported: the cpu of this machine has no bfloat16")


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_stride_that_leaves_one_column_is_refused_in_bfloat16(width):
    """PyTorch 2.13 returns memory there that nothing was written to: not-a-number, 1e34, or 0."""
    narrow = load(DataConfig("synthetic", limit=60, shape=(3, 9, width), classes=3))
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Linear(8, 3)),
    )
    train(net, Resident(narrow, CPU), QUICK, 0)
    if width == 3:  # two columns
        train(net, Resident(narrow, CPU), BFLOAT16, 0)
        return
    with pytest.raises(Unsupported, match=r"the stride of Conv2d\(3, 8, .* leaves one column"):
        train(net, Resident(narrow, CPU), BFLOAT16, 0)


@needs_gpu
def test_a_gpu_computes_in_the_precision_that_is_said(data):
    seen = []
    net = network()
    net[0].register_forward_hook(lambda _, __, y: seen.append(y.dtype))
    train(net, Resident(data, torch.device("cuda")), replace(QUICK, precision="float32"), 0)
    assert set(seen) == {torch.float32}
