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
    packed, scales, lowest = pack(weight)
    assert packed.tolist() == [0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE]
    assert (scales.tolist(), lowest.tolist()) == ([[0.5]], [[-4.0]])
    assert torch.equal(unpacked(packed, scales, lowest, weight.shape), weight)


@pytest.mark.parametrize("shape", [(8, 1, 3, 3), (5, 33), (3, 7, 1, 1), (16, 24, 3, 3), (1, 1)])
def test_no_weight_is_further_off_than_half_a_step(shape):
    """Rounding of the step and the lowest weight to 11 bits aside."""
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    packed, scales, lowest = pack(weight)
    per_output = weight[0].numel()
    groups = -(-per_output // 16)
    size = -(-per_output // groups)
    assert scales.shape == lowest.shape == (shape[0], groups)
    assert len(packed) == -(-shape[0] * groups * size // 2)
    steps = scales.float().repeat_interleave(size, dim=1)[:, :per_output]
    error = (unpacked(packed, scales, lowest, weight.shape) - weight).abs().flatten(1)
    assert (error <= steps / 2 + weight.abs().max() * 2**-10).all()


def test_equal_weights_stay_equal():
    weight = torch.full((2, 3, 1, 1), 0.25)
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
