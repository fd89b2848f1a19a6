"""What exported files are compared on."""

from __future__ import annotations

from dataclasses import replace

import torch

from nas.network.comparison import score_of
from nas.study.trained_network import samples_of
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
