"""Studies that earlier versions have made: opened, reported, exported, and searched on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import nas
from nas.export import app as export_app
from nas.report import app as report_app
from nas.verdict import app as verdict_app
from tests.conftest import ROOT
from tests.nas.commands import run
from tests.nas.planting import Planted, search

STUDIES = ROOT / "tests" / "data" / "studies"
NAMES = sorted(path.name for path in STUDIES.iterdir() if path.is_dir())


@pytest.fixture(params=NAMES)
def folder(request) -> Path:
    """A copy of a study, where the command that made it left it."""
    copy = Path("runs", request.param)
    shutil.copytree(STUDIES / request.param, copy)
    return copy


def test_there_is_one_of_each_version_that_was_released():
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = [line.split()[1] for line in text.splitlines() if line.startswith("## ")]
    for version in versions[1:]:
        assert any(name.startswith(version) for name in NAMES), version


def test_it_is_opened(folder):
    study = nas.load_study(folder)
    made = json.loads((folder / "environment.json").read_text())["command"]
    assert len(study.dataframe()) >= 3, made
    assert study.best().accuracy > 0


def test_it_is_reported(folder):
    run(report_app, "--study", folder)
    page = (folder / "report.html").read_text()
    assert "front" in page


def test_its_network_is_exported_from_the_weights_that_were_kept_or_trained_again(folder):
    result = run(export_app, "--study", folder, "--output", "out", "--format", "pytorch")
    assert ("train" in result.stderr) == ("design" in folder.name)
    assert Path("out/weights.safetensors").is_file()


def test_its_question_is_answered(folder):
    if "design" in folder.name:
        assert "Inconclusive" in run(verdict_app, "--study", folder).output


def test_it_is_searched_on(folder, monkeypatch):
    planted = Planted()
    text = (folder / "space.yaml").read_text().replace("trials: 3", "trials: 5")
    result = search(monkeypatch, planted, "--output", str(folder), text=text)
    assert result.exit_code == 0, result.output
    assert bool(planted.trainings) == ("design" not in folder.name)  # of which nothing is left
