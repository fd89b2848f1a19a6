"""What is timed: in which settings, and with how many threads."""

from __future__ import annotations

from dataclasses import replace

import torch

from nas.network import latency
from nas.network.formats import FORMATS
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


def test_a_runtime_has_the_threads_of_its_setting_and_the_file_of_its_folder(monkeypatch, tmp_path):
    """The file of a folder where there is one; else one is written, once for all settings."""
    loads, written = [], []

    def load(path, threads):
        loads.append((path, threads))
        return lambda _images: torch.zeros(1, 4)

    def write(_exportable, path):
        written.append(path)
        path.touch()

    onnx = replace(
        FORMATS["onnx"], packages=(), load=load, write=write,
        takes_stored=lambda _: False, architecture=lambda _: "",
    )  # fmt: skip
    monkeypatch.setitem(FORMATS, "onnx", onnx)
    kept, settings = tmp_path / "model.onnx", settings_of(["onnx"], [1, 3], [2], [""])
    network = with_statistics(SMALL)
    timed = TimedNetwork("a", SMALL.key, network, SMALL.input_shape, tmp_path)
    seen_in_a_turn(monkeypatch, timed, settings, lambda: None)
    assert written == [loads[0][0]]
    assert loads == [(written[0], 1), (written[0], 3)]
    loads.clear()
    kept.touch()
    seen_in_a_turn(monkeypatch, timed, settings, lambda: None)
    assert loads == [(kept, 1), (kept, 3)]
