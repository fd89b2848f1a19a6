"""What exported files are compared on."""

from __future__ import annotations

from dataclasses import replace

import torch

from nas.network import export
from nas.network.comparison import Samples, compare, latencies_of, score_of
from nas.network.formats import FormatOptions
from nas.study.trained_network import samples_of
from tests.nas.exporting import SMALL, with_statistics
from tests.trials.data_sets import numbered, write
from trials.data import DataConfig, load
from trials.data.image_file import ImageFile


def test_samples_in_a_file_are_those_in_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(*numbered("data/cat", 100), *numbered("data/dog", 100))
    config = DataConfig("images:data", memory=None)
    in_memory, in_a_file = (samples_of(load(c), 9) for c in (config, replace(config, memory=1)))
    assert isinstance(in_a_file.images, ImageFile)
    for count in (1, 17, 64):
        assert torch.equal(in_a_file.part(0, count), in_memory.part(0, count))
    assert torch.equal(torch.cat(list(in_a_file.batches(7))), in_memory.images)
    assert torch.equal(in_a_file.calibration, in_memory.calibration)

    def run(images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))[:, :2]

    expected = score_of(run, in_memory, raw=False)
    assert 0 < expected < 1
    assert score_of(run, in_a_file, raw=False) == expected


def test_where_images_are_few_they_are_taken_again():
    pixels = torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1, 1)
    samples = Samples(pixels, None, torch.zeros(1), torch.ones(1), pixels)
    sizes = []

    def run(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        return images.flatten(1)

    compare(run, run, samples, 1e-6, raw=False)
    assert sizes == [1, 1, 4, 4, 17, 17]
    assert samples.first(8).flatten().tolist() == [0, 1, 2, 3, 4, 5, 0, 1]


def test_latencies_are_of_one_thread():
    before = torch.get_num_threads()
    threads = set()
    torch.set_num_threads(2)
    try:
        first, second = latencies_of([lambda: threads.add(torch.get_num_threads())] * 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert threads == {1}
    assert first > 0 < second


def test_files_are_timed_in_turn_and_pytorch_in_channels_last(monkeypatch, tmp_path):
    """Which is the layout that networks are trained and measured in."""
    inputs: list[list[torch.Tensor]] = []

    def timed(passes):
        for each in passes:
            inputs.append([])
            each()
        return [1.0, 2.0]

    def look(module, images):
        if isinstance(module, torch.nn.Conv2d):
            inputs[-1].append(images[0])

    monkeypatch.setattr(export, "latencies_of", timed)
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda *seen: look(*seen) if inputs else None
    )
    files = []
    try:
        export.export_network(
            SMALL, with_statistics(SMALL), tmp_path, card=lambda found: files.extend(found) or "",
            formats=FormatOptions(("pt2",)), samples=one_image(),
        )  # fmt: skip
    finally:
        hook.remove()
    assert [file.latency_ms for file in files] == [1.0, 2.0]
    assert inputs[0][0].is_contiguous(memory_format=torch.channels_last)


def one_image() -> Samples:
    """Of which a program for any number can be made all the same."""
    image = torch.randint(256, (1, 9, 8, 3), dtype=torch.uint8)
    return Samples(image, None, torch.zeros(3), torch.ones(3), image)
