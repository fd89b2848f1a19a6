"""A study of two budgets on a real Ray: killed in the second one, and the same command again."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

import nas
from nas.analysis.budgets import answer_budgets, published_budgets
from nas.analysis.results import read_results
from nas.study.design import design_seeds
from tests.nas.engine.test_design_with_ray import DESIGN
from tests.nas.searching import count, searching

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SEVERAL = DESIGN.replace("{macs: 200K", "{macs: [60K, 120K]").replace("confirm: {seeds: 6}\n", "")
URL = "sqlite:///runs/design/study.db"
NAMES = ("design-60K", "design-120K")


def test_budgets_that_are_killed_go_on_to_their_end():
    space = Path("design.yaml")
    space.write_text(SEVERAL)
    with searching(space=space) as run:
        run.until(lambda: count(URL, study=NAMES[1]) >= 2, timeout_s=250)
        run.kill()
    with searching(space=space) as run:
        assert run.wait(timeout_s=300) == 0, run.out + run.err
        assert run.left_behind() == []

    for name in NAMES:
        trainings = read_results(make_url(URL), name).trainings
        seeds = design_seeds(name, 0, "screening", 2)
        assert [one.measurement.seed for one in trainings] == [s for s in seeds for _ in range(3)]
    study = nas.load_study("design")
    found = study.across_budgets()
    assert all(effect.seeds == 2 for arm in found.arms for effect in arm.effects)
    assert answer_budgets(published_budgets(Path("runs/design"))) == found
    assert study.budgets[1].load() is not None  # with the weights in its own folder
    assert "All budgets together" in Path("runs/design/report.html").read_text()
