"""A reference that is no point of the spectrum beside a search: matched, kept, shown, refused."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from types import SimpleNamespace

import pytest
import torch

from nas.analysis.published import published_results, write_results
from nas.analysis.results import read_results
from nas.engine.trial_spec import spec_of
from nas.network.build import build_network
from nas.network.ptflops import count_macs_with_ptflops
from nas.network.subject import subject_of
from nas.reporting.figures import front_info, plot_front
from nas.reporting.page import report_study
from nas.reporting.references import references_table
from nas.study.importances import parameter_importances
from nas.study.location import locate_study
from nas.study.records import read_records
from nas.study.references import reference_arms
from nas.study.storage import NoStudy, load_optuna_study, opened_storage
from tests.nas.analysis.test_references import SEARCH as SMALL
from tests.nas.planting import URL, Planted, search
from tests.nas.space.test_published import built, problems
from trials.train import Resident
from trials.trial import run_trial

REFERENCES = "'inception_v3:norm_scale=false', mobilenet"
SEARCH = (
    SMALL.replace("[3, 32, 32]", "[3, 75, 75]")
    .replace("trials: 8", "trials: 4")
    .replace("xception, mobilenet, plain", REFERENCES)
)
NAMES = ["inception_v3:norm_scale=false", "mobilenet"]


@pytest.fixture
def searched(monkeypatch):
    result = search(monkeypatch, Planted(), text=SEARCH)
    assert result.exit_code == 0, result.stderr
    return read_records(URL, "planted"), read_results(URL, "planted")


def test_it_is_matched_counted_and_shown_as_any_other(searched):
    records, results = searched
    assert [trial.arm for trial in records.published] == NAMES
    assert {trial.arm for trial in records.trials} == {""}
    middle = median(trial.macs for trial in records.front)
    for trial, run in zip(records.published, results.references, strict=False):
        network = build_network(trial.network)
        params = sum(p.numel() for p in network.parameters() if p.requires_grad)
        macs = count_macs_with_ptflops(network, (3, 75, 75))
        assert (trial.macs, trial.params) == (macs, params)
        assert (run.measurement.macs, run.measurement.params) == (macs, params)
        assert macs == pytest.approx(middle, rel=0.01)
        assert trial.network.classes == 4
    table = references_table(records, results)
    row = dict(zip(table.heads, table.rows[-2], strict=True))
    assert row[""] == "inception_v3:norm_scale=false"
    assert row["parameters"] == f"{records.published[0].params:,}"
    assert row["MACs"] == f"{records.published[0].macs:,}"
    assert row["accuracy"].endswith("(3)")
    (points,) = [t for t in plot_front(front_info(records, results)).data if t.name == "published"]
    assert list(points.text) == NAMES
    assert len(parameter_importances(URL, "planted")) > 0
    report_study(locate_study("planted", None))
    page = (locate_study("planted", None).folder / "report.html").read_text()
    assert page.count("inception_v3:norm_scale=false") >= 2


def test_it_is_kept_by_its_name_and_read_again(searched, monkeypatch, tmp_path):
    records, results = searched
    again = Planted()
    assert search(monkeypatch, again, text=SEARCH).exit_code == 0
    assert again.trainings == []
    write_results(results, tmp_path)
    (tmp_path / "space.yaml").write_text(SEARCH)
    assert published_results(tmp_path).references == results.references
    with opened_storage(URL) as storage:
        (trial, *_) = load_optuna_study(storage, "planted:references").trials
    kept = trial.user_attrs["architecture"]
    assert kept.startswith('{"reference":"inception_v3:classes=4,image_size=75,norm_scale=false,')
    recipe = records.file.training.full_recipe
    assert spec_of(trial, recipe).architecture == records.published[0].network
    trial.user_attrs["role"] = "interior"  # only a published network may be a reference
    with pytest.raises(NoStudy, match="trial 0 cannot be read: architecture: unknown field"):
        spec_of(trial, recipe)


@dataclass
class Trained(Planted):
    """Trains the references, in this process."""

    def run(self, driver, data, test=None, keep_weights=True, judges=False) -> None:
        self.data = Resident(data, torch.device("cpu"))
        super().run(driver, data, test, keep_weights, judges)

    def measurements(self, driver, spec, test):
        if not spec.arm:
            return super().measurements(driver, spec, test)
        return run_trial(
            subject_of(spec.architecture, spec.cost),
            self.data.of_fold(spec.fold),
            spec.data_of(driver.data.fingerprint),
            spec.recipe,
            spec.seeds,
        )


def test_it_is_trained_as_any_other(monkeypatch):
    text = SEARCH.replace("epochs: 2", "epochs: 1").replace(REFERENCES, "inception_v3")
    result = search(monkeypatch, Trained(), text=f"{text}confirm: none\n")
    assert result.exit_code == 0, result.stderr
    (run,) = read_results(URL, "planted").references
    assert run.measurement.state == "complete", run.measurement.reason
    assert run.measurement.images_per_second > 0
    (trial,) = read_records(URL, "planted").published
    assert run.measurement.architecture == trial.network.to_json()


def test_one_that_no_width_makes_so_cheap_is_left_out_and_said():
    space, said = built(SEARCH), []
    assert list(reference_arms(space, [SimpleNamespace(macs=1000)], (), said.append))[:-1] == []
    note = "note: there is no reference inception_v3:norm_scale=false at the front's median cost: "
    assert said[0].startswith(f"{note}no widths cost 1,000 MACs within 1.00%; the nearest found")


SMALL_IMAGES = "hint: larger images (data: {resize: ...}), or leave it out"
OTHER_IMAGES = "hint: pictures in colour (data: {resize: {size: 96}}), or leave it out"


@pytest.mark.parametrize(
    ("name", "shape", "said", "hint"),
    [
        ("", "[3, 74, 74]", "inception_v3: image_size is 75 to 4096; got 74", SMALL_IMAGES),
        ("", "[3, 80, 96]", "of 3 channels; these are 3 x 80 x 96", OTHER_IMAGES),
        ("", "[1, 80, 80]", "of 3 channels; these are 1 x 80 x 80", OTHER_IMAGES),
        (":aux=true", "[3, 299, 299]", "one loss, for one head; got aux=true", "leave aux out"),
        (":depth=3", "[3, 80, 80]", "inception_v3 has no option 'depth'", "any of classes,"),
        (":classes=3", "[3, 80, 80]", "classes is that of the study's images", "leave it out"),
    ],
)
def test_what_is_refused(name, shape, said, hint):
    found = problems(
        "design=null", f"data.shape={shape}", f"references=[plain, 'inception_v3{name}']"
    )
    (problem,) = [problem for problem in found if "references[1]" in problem]
    assert said in problem
    assert hint in problem


def test_a_part_of_a_network_is_refused():
    found = problems("design=null", "data.shape=[3, 80, 80]", "references=[inception_module]")
    assert any("a network that is trained has classes; this is a part" in p for p in found)


def test_as_an_arm_of_a_design_it_is_refused_with_what_there_is():
    (problem,) = problems("design.arms=[plain, inception_v3]")
    assert "arms of a design are points of the spectrum; inception_v3 is none" in problem
    assert "references: [inception_v3]" in problem
