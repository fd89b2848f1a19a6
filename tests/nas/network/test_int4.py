"""Weights in 4 bits: what is kept of them, how much room they take, and whose they are."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from nas.network.export import export_network
from nas.network.exported_functions import unpacked
from nas.network.int4_format import pack, write_int4
from tests.nas.exporting import SMALL, imported, with_statistics


def test_sixteen_values_are_exact():
    """A half times -8 to 7."""
    weight = torch.arange(-8, 8).reshape(1, 16, 1, 1) * 0.5
    packed, scales = pack(weight)
    assert packed.tolist() == [0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE]
    assert scales.tolist() == [[0.5]]
    assert torch.equal(unpacked(packed, scales, weight.shape), weight)


@pytest.mark.parametrize("shape", [(8, 1, 3, 3), (5, 33), (3, 7, 1, 1), (16, 24, 3, 3), (1, 1)])
def test_no_weight_is_further_than_its_step(shape):
    """Half a step; but a whole one where a weight is as far from zero as the farthest, across."""
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    packed, scales = pack(weight)
    per_output = weight[0].numel()
    groups = -(-per_output // 32)
    assert scales.shape == (shape[0], groups)
    assert len(packed) == -(-shape[0] * groups * -(-per_output // groups) // 2)
    steps = scales.float().abs().repeat_interleave(-(-per_output // groups), dim=1)[:, :per_output]
    error = (unpacked(packed, scales, weight.shape) - weight).abs().flatten(1)
    assert (error <= steps * 1.01).all()
    assert (error <= steps * 0.51).double().mean() > 0.9


def test_weights_of_nothing_stay_nothing():
    weight = torch.zeros(2, 3, 1, 1)
    assert torch.equal(unpacked(*pack(weight), weight.shape), weight)


def test_the_weights_of_another_network_are_refused(tmp_path):
    export_network(SMALL, with_statistics(SMALL), tmp_path)
    file = tmp_path / "model.int4.safetensors"
    write_int4(None, file)
    with safe_open(file, "pt") as content:
        assert content.metadata() == {"architecture": SMALL.key}
    model = imported(tmp_path)
    assert model.load(file)(torch.zeros(2, *SMALL.input_shape)).shape == (2, 4)
    model.ARCHITECTURE = "another"
    with pytest.raises(ValueError, match=f"weights of another network, {SMALL.key}"):
        model.load(file)
