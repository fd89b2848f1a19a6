"""A design as a user runs it: a real Ray, a kill in the middle, the verdict at the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from nas.analysis.answer import answer
from nas.analysis.published import published_results
from nas.analysis.results import read_results
from nas.study.design import design_seeds
from tests.nas.searching import count, searching
from trials.right_answers import unpacked

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

DESIGN = """
name: design
data: {source: synthetic, limit: 400, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 16}
  blocks:
    - {channels: 16, stride: 2}
    - {channels: 24, stride: 2}
search:
  scope: network
  segments: [C/4, C]
  order: [plain, spatial_first]
match: {macs: 200K, tolerance: 6%}
training: {epochs: 6, batch_size: 32}
design: {seeds: 2}
confirm: {seeds: 6}
"""
URL = "sqlite:///runs/design/study.db"


def test_a_killed_design_goes_on_and_ends_with_its_verdict():
    Path("design.yaml").write_text(DESIGN)
    space = Path("design.yaml")
    with searching("--controls", space=space) as run:
        run.until(lambda: count(URL, study="design:confirmation") >= 2)
        run.kill()
    with searching("--controls", space=space) as run:
        assert run.wait() == 0, run.err
        assert run.left_behind() == []

    # Every arm with every seed, once; nothing twice.
    results = read_results(make_url(URL), "design")
    trainings = [
        (training.stage, training.arm, training.measurement.seed) for training in results.trainings
    ]
    assert len(trainings) == len(set(trainings))
    screening = [(arm, seed) for stage, arm, seed in trainings if stage == "screening"]
    assert len(screening) == (3 + 3) * 2
    fresh = set(design_seeds("design", 0, "confirmation", 6))
    assert {seed for stage, _, seed in trainings if stage == "confirmation"} == fresh
    assert all(
        (training.measurement.test_accuracy is not None) == (training.stage == "confirmation")
        for training in results.trainings
    )

    # The same seed gives the same result; a twin is another training of the same network.
    table = {(r.stage, r.arm, r.measurement.seed): r.measurement for r in results.trainings}
    seed = design_seeds("design", 0, "screening", 1)[0]
    plain, twin = (table["screening", arm, seed] for arm in ("plain", "twin of plain"))
    assert plain.architecture_key == twin.architecture_key
    assert plain.curve != twin.curve

    # The verdict, in the report, on the terminal and from the files alone.
    found = answer(results)
    handicapped = [c for c in found.controls if c.kind == "handicapped"]
    assert [control.passed for control in handicapped] == [True]
    assert '<div class="verdict' in Path("runs/design/report.html").read_text()
    assert answer(published_results(Path("runs/design"))) == found
    assert (found.new_images.images, found.new_images.seeds) == (80, 6)
    command = [sys.executable, "-m", "nas.verdict", "--published", "runs/design"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "planned before the first training" in shown
    assert "difference for new images" in shown
    assert json.loads(Path("runs/design/plan.json").read_text())[0]["results"]["screening"] == 0


def test_a_design_is_judged_on_a_half_that_only_its_confirmation_reads():
    text = DESIGN.replace("epochs: 6", "epochs: 2").replace("{seeds: 6}", "{seeds: 2}")
    Path("design.yaml").write_text(text)
    command = [sys.executable, "-m", "nas.search", "--space", "design.yaml"]
    done = subprocess.run(
        [*command, "--set", "claim.on=half"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "more validation images are left to judge by" in done.stdout
    results = read_results(make_url(URL), "design")
    assert {run.stage for run in results.trainings} == {"screening", "confirmation"}
    for run in results.trainings:
        m, judges = run.measurement, run.stage == "confirmation"
        assert (m.half_score is not None) == judges
        assert (m.test_accuracy is not None) == judges
        for right, score in (
            (m.validation_right, m.accuracy),
            (m.test_right, m.test_accuracy),
            (m.half_right, m.half_score),
        ):
            assert (right is not None) == judges
            assert right is None or unpacked(right).mean() == score
    found = answer(results)
    assert found.new_images.images == 40
    assert answer(published_results(Path("runs/design"))) == found
