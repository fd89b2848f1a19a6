"""What is timed: in which settings, and with how many threads."""

from __future__ import annotations

import torch

from nas.network import latency
from nas.network.latency import Setting, TimedNetwork, settings_of, time_networks
from tests.nas.exporting import SMALL, with_statistics
from trials.interleaved import Quartiles


def test_a_layout_is_of_eager_alone():
    assert settings_of(["eager", "onnx"], [1, 2], [8], ["channels_last", "contiguous"]) == (
        Setting("eager", 1, 8, "channels_last"),
        Setting("eager", 1, 8, "contiguous"),
        Setting("eager", 2, 8, "channels_last"),
        Setting("eager", 2, 8, "contiguous"),
        Setting("onnx", 1, 8, ""),
        Setting("onnx", 2, 8, ""),
    )


def seen_in_a_turn(monkeypatch, timed, settings, look):
    """What `look` finds after one pass of each."""
    seen = []

    def turns(contenders, _device, _on_round):
        for contender in (*contenders, *contenders):
            contender.prepare()
            contender.run()
            seen.append(look())
        return [Quartiles(1, 2, 3)] * len(contenders)

    monkeypatch.setattr(latency, "time_interleaved", turns)
    time_networks([timed], settings)
    return seen[len(settings) :]


def test_pytorch_has_the_threads_and_the_layout_of_its_setting(monkeypatch):
    network = with_statistics(SMALL)
    inputs = []
    network.register_forward_pre_hook(lambda _module, images: inputs.append(*images))
    before = torch.get_num_threads()
    settings = settings_of(["eager"], [1, 2], [5], ["channels_last", "contiguous"])
    timed = TimedNetwork("a", SMALL.key, network, SMALL.input_shape)
    assert seen_in_a_turn(monkeypatch, timed, settings, torch.get_num_threads) == [1, 1, 2, 2]
    assert torch.get_num_threads() == before
    assert all(images.shape == (5, *SMALL.input_shape) for images in inputs)
    layouts = [images.is_contiguous(memory_format=torch.channels_last) for images in inputs]
    assert layouts == [True, False] * 4
