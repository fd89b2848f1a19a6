"""Studies whose accuracies are planted: the whole command runs, only nothing is trained.

What a seed does to all arms alike is larger than what it does to each, as in real studies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from sqlalchemy.engine import make_url
from typer.testing import CliRunner, Result

from nas.analysis.results import StudyResults, read_results
from nas.engine.stage import StageRunner
from nas.search import app
from tests.nas.driving import measured

LEVEL = 0.7
NOISE = 0.003
SHARED = 0.01

MATCHED = """
name: planted
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 16}
  blocks:
    - {channels: 16, stride: 2}
    - {channels: 24, stride: 2}
search:
  scope: network
  segments: [1, 2, C/8, C/4, C]
  order: [plain, spatial_first]
match: {macs: 200K, tolerance: 6%}
training: {epochs: 2, batch_size: 16}
design: {seeds: 3}
confirm: {seeds: 8}
claim: {delta: 0.5%, alpha: 5%}
"""

ARMS = (
    "plain",
    "1, spatial first",
    "2, spatial first",
    "C/8, spatial first",
    "C/4, spatial first",
    "C, spatial first",
)
ENDS = ("plain", "1, spatial first", "C, spatial first")


SEARCH = """
name: planted
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 16}
  blocks:
    - {channels: 16, stride: 2}
    - {channels: 24, stride: 2}
search:
  segments: [1, 2, C/4, C]
  order: [spatial_first, pointwise_first]
training: {epochs: 2, batch_size: 16}
study: {trials: 10, sampler: random}
confirm: {seeds: 6}
"""

URL = make_url("sqlite:///runs/planted/study.db")
WINNER = "C/4, spatial first"


@dataclass
class Planted:
    """Stands in for Ray and its workers.

    Attributes:
        effects: by arm, or by a part of the architecture's JSON, added to the level.
        stop_after: runs after which Ctrl-C is pressed.
        runs: what was run, in order: (study, arm, seed).
        tested: runs that were evaluated on the test split.
    """

    effects: Mapping[str, float] = field(default_factory=dict)
    stop_after: int | None = None
    runs: list[tuple[str, str, int]] = field(default_factory=list)
    tested: int = 0

    def run(self, driver, data, test=None, keep_weights=True) -> None:
        while (spec := driver.next()) is not None:
            if len(self.runs) == self.stop_after:
                raise KeyboardInterrupt
            self.runs.append((driver.study.study_name, spec.arm, spec.seeds[0]))
            self.tested += test is not None
            driver.record(spec.trial, self.measurements(driver, spec, test))

    def measurements(self, driver, spec, test):
        return tuple(
            replace(
                measurement,
                accuracy=accuracy,
                test_accuracy=accuracy - 0.01 if test is not None else None,
                curve=((2.0, 2.0, accuracy / 2), (1.0, 1.0, accuracy)),
                images_per_second=1000.0,
            )
            for measurement in measured(driver, spec)
            for accuracy in [self.accuracy(spec, measurement.seed)]
        )

    def accuracy(self, spec, seed: int) -> float:
        shared = np.random.default_rng(seed).normal(0, SHARED)
        name = spec.arm or spec.architecture.to_json()
        own = int.from_bytes(hashlib.sha256(f"{name}{seed}".encode()).digest()[:4])
        noise = np.random.default_rng(own).normal(0, NOISE)
        effect = sum(e for part, e in self.effects.items() if _names(part, spec))
        if spec.role == "handicapped":
            effect -= 0.2
        return float(np.clip(LEVEL + shared + noise + effect, 0, 1))


def _names(part: str, spec) -> bool:
    if part.startswith('"'):
        return part in spec.architecture.to_json()
    return spec.arm.removeprefix("twin of ") == part


def search(
    monkeypatch, planted: Planted, *options: str, text: str = MATCHED, results: bool = False
) -> Result:
    """`python -m nas.search` on a planted study, in the current folder.

    Without its results, which take seconds, unless they are asked for.
    """
    if not results:
        monkeypatch.setattr("nas.api.run_search._write_results", lambda *_: None)
    Path("planted.yaml").write_text(text)
    monkeypatch.setattr(StageRunner, "run", lambda _runner, *a, **k: planted.run(*a, **k))
    return CliRunner().invoke(app, ["--space", "planted.yaml", *options])


def results_of(monkeypatch, effects, *options: str, text: str = MATCHED) -> StudyResults:
    result = search(monkeypatch, Planted(effects), *options, text=text)
    assert result.exit_code == 0, result.stderr
    return read_results(URL, "planted")


_FOUND: dict[tuple[str, tuple[str, ...], str], StudyResults] = {}


def cached_results(monkeypatch, effects, *options: str, text: str = MATCHED) -> StudyResults:
    """The same, planted once for all tests that only read it: there may be no study here."""
    planted = (json.dumps(effects, sort_keys=True), options, text)
    if planted not in _FOUND:
        _FOUND[planted] = results_of(monkeypatch, effects, *options, text=text)
    return _FOUND[planted]
