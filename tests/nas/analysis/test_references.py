"""References of a search: trained after it at the cost of its front, shown beside it, part of none."""

from __future__ import annotations

from statistics import median

import pytest

from nas.analysis.published import published_results, write_results
from nas.analysis.results import read_results
from nas.architecture.cost import count_cost
from nas.reporting.figures import front_info, plot_front
from nas.reporting.front_csv import front_csv
from nas.reporting.page import report_study
from nas.reporting.references import references_in_words, references_table
from nas.study.importances import parameter_importances
from nas.study.location import locate_study
from nas.study.records import read_records
from tests.nas.planting import URL, Planted, search
from tests.nas.space.test_published import problems

SEARCH = """
name: planted
data: {source: synthetic, limit: 100, shape: [3, 32, 32], classes: 4}
network:
  stem: {channels: 16}
  blocks:
    - {channels: 16, stride: 2}
    - {channels: 24, stride: 2}
search:
  segments: [1, 2, C/4, C]
  order: [spatial_first, pointwise_first]
training: {epochs: 2, batch_size: 16}
study: {trials: 8, sampler: random}
references: [xception, mobilenet, plain]
"""
NAMES = ["xception", "mobilenet", "plain"]
WINS = {"xception": 0.1}


@pytest.fixture
def searched(monkeypatch):
    planted = Planted(WINS)
    result = search(monkeypatch, planted, text=SEARCH)
    assert result.exit_code == 0, result.stderr
    return planted


def test_they_are_trained_last_at_the_median_cost_with_the_seeds_of_the_front(searched):
    records = read_records(URL, "planted")
    last = [(arm, seed) for study, arm, seed in searched.trainings if study.endswith("references")]
    assert searched.trainings[-1][0] == "planted:references"
    assert [arm for arm, _ in last[:3]] == NAMES
    confirmed = {seed for study, _, seed in searched.trainings if study.endswith("confirmation")}
    assert {seed for _, seed in last} == confirmed
    assert len(last) == 3 * len(confirmed) == 9
    folds = [{t.fold for t in again.trials} for again in (records.references, records.confirmation)]
    assert folds[0] == folds[1] != {None}  # few images validate: each seed has others
    middle = median(trial.macs for trial in records.front)
    for trial in records.references.published:
        assert count_cost(trial.architecture).macs == pytest.approx(middle, rel=0.01)
        assert trial.architecture.input_shape == (3, 32, 32)


@pytest.mark.usefixtures("searched")
def test_they_are_in_no_front_history_importance_or_best(monkeypatch):
    with_references = read_records(URL, "planted")
    assert {trial.arm for trial in with_references.front} == {""}
    assert len(with_references.trials) == 8
    front = front_csv(with_references)
    importances = parameter_importances(URL, "planted")
    options = ("--output", "runs/alone", "--set", "references=null")
    assert search(monkeypatch, Planted(), *options, text=SEARCH).exit_code == 0
    alone = locate_study("runs/alone", None)
    assert front_csv(read_records(alone.url, alone.name)) == front
    assert parameter_importances(alone.url, alone.name) == importances


@pytest.mark.usefixtures("searched")
def test_the_same_command_trains_nothing_again_and_a_further_reference_is_trained(monkeypatch):
    again = Planted(WINS)
    search(monkeypatch, again, text=SEARCH)
    assert again.trainings == []
    search(monkeypatch, again, text=SEARCH.replace("plain]", "plain, 'xception:segments=4']"))
    assert {arm for _, arm, _ in again.trainings} == {"xception:segments=4"}


@pytest.mark.usefixtures("searched")
def test_one_that_was_taken_out_of_the_file_is_shown_no_more_and_comes_back(monkeypatch):
    again = Planted(WINS)
    search(monkeypatch, again, text=SEARCH.replace("mobilenet, ", ""))
    kept = ["xception", "plain"]
    assert [trial.arm for trial in read_records(URL, "planted").published] == kept
    assert {run.arm for run in read_results(URL, "planted").references} == set(kept)
    search(monkeypatch, again, text=SEARCH)
    assert [trial.arm for trial in read_records(URL, "planted").published] == NAMES
    assert again.trainings == []


@pytest.mark.usefixtures("searched")
def test_they_are_labelled_points_a_table_and_lines():
    records, results = read_records(URL, "planted"), read_results(URL, "planted")
    drawn = plot_front(front_info(records, results))
    (points,) = [trace for trace in drawn.data if trace.name == "published"]
    assert list(points.text) == NAMES
    table = references_table(records, results)
    rows = {row[0]: dict(zip(table.heads, row, strict=True)) for row in table.rows}
    assert list(rows)[-3:] == NAMES
    assert set(rows) == {*NAMES, *(f"trial {trial.number}" for trial in records.front)}
    assert all(row["accuracy"].endswith("(3)") for row in rows.values())
    assert rows["xception"]["images/s"] == "1,000"
    assert [line.split(":")[0] for line in references_in_words(records)] == [
        f"reference {name}" for name in NAMES
    ]
    page = report_study(locate_study("planted", None))
    assert (
        "The front and the references"
        in (locate_study("planted", None).folder / "report.html").read_text()
    )
    assert page.answer is None


@pytest.mark.usefixtures("searched")
def test_what_is_published_has_them(tmp_path):
    results = read_results(URL, "planted")
    write_results(results, tmp_path)
    (tmp_path / "space.yaml").write_text(SEARCH)
    again = published_results(tmp_path)
    assert again.references == results.references
    assert len(again.trainings) == len(results.trainings)


def test_a_search_without_a_confirmation_has_them_with_the_seeds_of_a_trial(monkeypatch):
    planted = Planted(WINS)
    search(monkeypatch, planted, text=f"{SEARCH}confirm: none\n")
    assert [arm for _, arm, _ in planted.trainings[-3:]] == NAMES
    assert len(planted.trainings) == 8 + 3


def test_one_that_no_width_makes_so_cheap_is_left_out_and_said(monkeypatch):
    planted = Planted()
    cheap = SEARCH.replace("channels: 16", "channels: 2").replace("channels: 24", "channels: 2")
    cheap = cheap.replace("[1, 2, C/4, C]", "[1, C]")
    result = search(monkeypatch, planted, text=cheap)
    assert result.exit_code == 0, result.stderr
    assert "note: there is no reference plain at the front's median cost" in result.output


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["references=[resnet]"], "references[0]: a published network is one of"),
        (["references=[plain]"], "a search is shown beside them"),
    ],
)
def test_what_is_refused(overrides, said):
    assert any(said in problem for problem in problems(*overrides))


def test_references_that_images_are_too_small_for_are_refused():
    found = problems("design=null", "data.shape=[3, 12, 12]", "references=[plain, xception]")
    assert any("references[1]: xception has more strides" in problem for problem in found)
