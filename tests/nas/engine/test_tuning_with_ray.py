"""A tuned design as a user runs it: a real Ray, a kill among the tuning's trainings."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pytest
from sqlalchemy.engine import make_url

from nas.analysis.answer import answer
from nas.analysis.published import published_results
from nas.analysis.results import read_results, score_of
from nas.verdict import app as verdict
from tests.nas.commands import run
from tests.nas.engine.test_design_with_ray import DESIGN
from tests.nas.searching import count, searching

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

TUNED = (
    DESIGN.replace("name: design", "name: tuned")
    .replace("confirm: {seeds: 6}\n", "")
    .replace("batch_size: 32}", "batch_size: 32, learning_rate: 1e-4}")
) + "tune: {learning_rate: [1x, 100x, 1000x], activation: [none, relu], seeds: 1}\n"
URL = "sqlite:///runs/tuned/study.db"
VARIANTS = 3 + 2 * 6


def test_a_rate_that_learns_nothing_is_chosen_by_no_arm():
    space = Path("tuned.yaml")
    space.write_text(TUNED)
    with searching(space=space) as search:
        search.until(lambda: count(URL, study="tuned:tuning") >= 4)
        search.kill()
    with searching(space=space) as search:
        assert search.wait() == 0, search.err
        assert search.left_behind() == []

    results = read_results(make_url(URL), "tuned")
    seeds = [(training.arm, training.measurement.seed) for training in results.tuning]
    assert len(seeds) == len(set(seeds)) == VARIANTS
    assert len(results.trainings) == 3 * 2
    scores = defaultdict(lambda: defaultdict(list))
    for training in results.tuning:
        scores[training.control_of][training.setting].append(score_of(training.measurement))
    for name, first in results.arms.items():
        assert first.setting.learning_rate > 1
        best = fmean(scores[name][first.setting])
        assert best == max(map(fmean, scores[name].values()))
        assert str(first.setting) in search.out
    assert published_results(Path("runs/tuned")).tuning == results.tuning
    assert "The tuning" in Path("runs/tuned/report.html").read_text()
    assert len(answer(results).tuning) == VARIANTS
    shown = run(verdict, "--published", "runs/tuned").output
    assert "1 tuning seeds" in " ".join(shown.split())
