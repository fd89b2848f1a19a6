"""A study of two budgets on a real Ray: killed at each, and the same as one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

import nas
from nas.analysis.budgets import answer_budgets, published_budgets
from nas.analysis.results import read_results
from nas.study.design import design_seeds
from tests.nas.engine.test_race_with_ray import RACE
from tests.nas.searching import count, searching

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

URL = "sqlite:///runs/race/study.db"


def test_budgets_that_are_killed_go_on_to_their_end():
    space = Path("race.yaml")
    space.write_text(RACE)
    names = ("race-60K", "race-120K")
    several = ("--set", "match.macs=[60K, 120K]")
    for name in names:
        with searching(*several, space=space) as run:
            run.until(lambda name=name: count(URL, study=name) >= 3, timeout_s=200)
            run.kill()
    with searching(*several, space=space) as run:
        assert run.wait(timeout_s=300) == 0, run.out + run.err
        assert run.left_behind() == []

    for name in names:
        results = read_results(make_url(URL), name)
        trainings = [(one.arm, one.measurement.seed) for one in results.trainings]
        assert len(trainings) == len(set(trainings))
        seeds = design_seeds(name, 0, "race", 6)
        assert {seed for _, seed in trainings} <= set(seeds)
    study = nas.load_study("race")
    found = study.across_budgets()
    assert all(one.answer.race.is_over for one in found.budgets)
    assert answer_budgets(published_budgets(Path("runs/race"))) == found
    assert study.budgets[1].load() is not None  # with the weights in its own folder
    assert "All budgets together" in Path("runs/race/report.html").read_text()
