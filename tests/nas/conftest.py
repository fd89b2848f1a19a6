"""A small study whose trials are run in the test's own process, as a search leaves it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sqlalchemy.engine import make_url

from nas.engine.driver import Driver
from nas.network.subject import subject_of
from nas.space.load import build_space, read_document
from nas.study.records import read_records
from trials.data import load
from trials.train import Resident
from trials.trial import run_trial

SPACE = """
name: small
data: {source: synthetic, limit: 120, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 6}
  blocks:
    - {channels: 6}
    - {channels: 9, stride: 2}
search:
  segments: [1, 2, 4, C]
  activation: [none, relu]
  order: [spatial_first, plain]
training: {epochs: 2, batch_size: 16}
study: {trials: 8}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A study's folder as a search leaves it, its trials run in this process."""
    root = tmp_path_factory.mktemp("study")
    folder = root / "runs" / "small"
    folder.mkdir(parents=True)
    (folder / "space.yaml").write_text(SPACE)
    document = read_document(folder / "space.yaml")
    space = build_space(document)
    data = load(space.file.data.config)
    resident = Resident(data, torch.device("cpu"))
    driver = Driver.open(
        make_url(f"sqlite:///{folder / 'study.db'}"),
        "small", space, data.summary, folder / "outbox",
    )  # fmt: skip
    while (spec := driver.next()) is not None:
        driver.record(
            spec.trial,
            run_trial(
                subject_of(spec.architecture, spec.cost),
                resident,
                data.summary.fingerprint,
                spec.recipe,
                spec.seeds,
                weights=folder / "weights" / f"{spec.trial}.safetensors",
            ),
        )
    driver.close()
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return make_url(f"sqlite:///{tmp_path / 'study.db'}")
    return make_url(request.getfixturevalue("postgresql"))


@pytest.fixture
def sqlite(tmp_path):
    return make_url(f"sqlite:///{tmp_path / 'study.db'}")


@pytest.fixture
def records(study):
    return read_records(f"sqlite:///{study / 'study.db'}", "small")
