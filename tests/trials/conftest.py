"""Images to train with, and images to read."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trials.data_sets import FOLDER, folders
from tests.trials.training import CPU
from trials.data import DataConfig, load
from trials.train import Resident


@pytest.fixture(scope="module")
def data():
    """200 images to train with and 50 to validate: 8 x 8, of four classes."""
    return load(DataConfig("synthetic", limit=250, shape=(3, 8, 8), classes=4))


@pytest.fixture(scope="module")
def resident(data):
    return Resident(data, CPU)


@pytest.fixture
def pictures() -> np.ndarray:
    """40 random RGB images of 6 x 5 (height x width)."""
    return np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """Decoded images are kept in the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(own_cache: None) -> DataConfig:  # noqa: ARG001  # a fixture of this one
    """Thirty pictures of two classes, which are read through the cache."""
    folders(cat=15, dog=15)
    return FOLDER
