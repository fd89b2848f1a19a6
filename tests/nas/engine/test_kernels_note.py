from __future__ import annotations

import pytest

from nas.engine.stage import StageRunner
from nas.space.load import build_space, read_document
from nas.study.location import StudyPlace
from nas.study.storage_url import storage_url
from tests.conftest import ROOT


def runner(tmp_path, assignments, address=None):
    space = build_space(read_document(ROOT / "search_spaces" / "smoke.yaml", assignments))
    return StageRunner(space, StudyPlace("s", tmp_path, storage_url(None, tmp_path)), address)


def test_a_search_whose_trials_lack_kernels_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("nas.engine.stage.best_level", lambda: None)
    assert runner(tmp_path, []).misses_kernels()


@pytest.mark.parametrize(
    ("assignments", "address"),
    [
        (["training.precision=bfloat16"], None),
        (["resources.gpus_per_trial=1"], None),
        (["resources.cpus_per_trial=2"], None),
        ([], "ray://elsewhere:10001"),
    ],
)
def test_one_whose_trials_would_not_use_them_does_not(monkeypatch, tmp_path, assignments, address):
    monkeypatch.setattr("nas.engine.stage.best_level", lambda: None)
    assert not runner(tmp_path, assignments, address).misses_kernels()
