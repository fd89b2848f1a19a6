"""A race on a real Ray: killed inside a look and after one, and the same as one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from nas.analysis.answer import answer
from nas.analysis.published import published_results
from nas.analysis.results import read_results
from nas.study.design import design_seeds
from tests.nas.engine.test_design_with_ray import DESIGN
from tests.nas.searching import count, searching

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

RACE = (
    DESIGN.replace("design: {seeds: 2}", "design: {method: race, looks: [2, 4, 6]}")
    .replace("confirm: {seeds: 6}\n", "claim: {on: test}\n")
    .replace("name: design", "name: race")
)
URL = "sqlite:///runs/race/study.db"


def test_a_race_that_is_killed_twice_goes_on_to_its_end():
    space = Path("race.yaml")
    space.write_text(RACE)
    for trainings in (3, 7):
        with searching("--controls", space=space) as run:
            run.until(lambda wanted=trainings: count(URL, study="race") >= wanted)
            run.kill()
    with searching("--controls", space=space) as run:
        assert run.wait() == 0, run.out + run.err
        assert run.left_behind() == []

    results = read_results(make_url(URL), "race")
    trainings = [(one.arm, one.measurement.seed) for one in results.trainings]
    assert len(trainings) == len(set(trainings))
    found = answer(results)
    assert found.race.is_over
    seeds = design_seeds("race", 0, "race", 6)
    for arm, trained in found.race.trained.items():
        assert {seed for name, seed in trainings if name == arm} == set(seeds[:trained])
    # Judged on the test split, of which each training keeps what it was right on.
    assert found.judged_on == "test"
    assert all(one.measurement.test_accuracy is not None for one in results.trainings)
    assert found.new_images.images == 80
    assert answer(published_results(Path("runs/race"))) == found
    assert '<div class="verdict' in Path("runs/race/report.html").read_text()
