"""What images a claim is judged on, and how sure the difference is for images that were not there."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.analysis.answer import answer
from nas.analysis.judged import NotKept, for_new_images
from nas.analysis.published import published_results
from nas.analysis.results import StudyResults
from nas.reporting.answer_text import facts
from nas.space import load_space
from nas.space.errors import InputError
from nas.study.identity import identity
from nas.study.judged import judged_score
from nas.study.plan import registrations_from_json, registrations_to_json
from nas.study.records import read_records
from nas.study.trained_network import data_of
from tests.conftest import ROOT
from tests.nas.planting import (
    MATCHED,
    URL,
    WINNER,
    Planted,
    planted_results,
    publish,
    search,
)
from trials.right_answers import packed

IMAGES = {"validation": 500, "test": 400, "half": 250}
WINS = {WINNER: 0.03}


def right_on(arm: str, seed: int, on: str, share: float) -> np.ndarray:
    """Images of the same difficulty for all arms and seeds; each network errs on some more."""
    hard = np.random.default_rng(len(on)).normal(size=IMAGES[on])
    own = int.from_bytes(hashlib.sha256(f"{arm}{seed}{on}".encode()).digest()[:4])
    z = hard + np.random.default_rng(own).normal(0, 0.5, size=IMAGES[on])
    return z < np.quantile(z, share)


def with_answers(results: StudyResults, splits=("validation", "test")) -> StudyResults:
    """A study whose confirmation has kept what each network was right on."""
    trainings = []
    for run in results.trainings:
        m = run.measurement
        if run.stage == "confirmation":
            shares = {"validation": m.accuracy, "test": m.test_accuracy, "half": m.accuracy - 0.05}
            for on in splits:
                right = right_on(run.arm, m.seed, on, shares[on])
                score = {"validation": "accuracy", "test": "test_accuracy", "half": "half_score"}
                kept = {f"{on}_right": packed(right), score[on]: float(right.mean())}
                m = replace(m, **kept)
        trainings.append(replace(run, measurement=m))
    return replace(results, trainings=tuple(trainings))


def shown(results: StudyResults) -> dict[str, str]:
    return dict(facts(answer(results)))


def test_the_difference_for_new_images_stands_beside_that_for_new_seeds():
    results = with_answers(planted_results(WINS))
    found = answer(results)
    images = found.new_images
    assert (images.images, images.seeds) == (500, 8)
    assert images.these_trainings.mean == pytest.approx(found.verdict.estimate)
    assert images.new_seeds.lower < images.these_trainings.lower < found.verdict.estimate
    assert found.test_new_images.images == 400
    line = shown(results)["difference for new images"]
    assert line.endswith("of 500 images, in pairs, each bound with the same confidence")
    assert "for new seeds as well" in line
    assert "for new images as well" in shown(results)["the same difference on the test split"]


def test_it_is_recomputed_from_the_published_files():
    results = with_answers(planted_results(WINS))
    publish(results, Path("out"))
    again = published_results(Path("out"))
    assert again.trainings == results.trainings
    assert answer(again) == answer(results)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("test_right", "8:/w==", "the accuracy is not the share of right answers"),
        ("test_right", "9:/w==", "training 50 is not what was published"),
        ("half_score", "nan", "not a finite number"),
    ],
)
def test_published_answers_that_contradict_the_accuracy_are_refused(column, cell, message):
    publish(with_answers(planted_results(WINS)), Path("out"))
    with Path("out/measurements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[-1][column] = cell
    with Path("out/measurements.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(InputError, match=message):
        published_results(Path("out"))


def test_a_study_that_kept_no_answers_says_so():
    """The one that was published before they were kept, and any older database."""
    results = published_results(ROOT / "studies" / "2026-11-22-cifar10-cpu")
    assert results.judged_on == "validation"
    line = shown(results)["difference for new images"]
    assert line.startswith("not known: 16 of 16 trainings, of an older version perhaps,")


def test_images_with_many_labels_have_no_answers():
    run = planted_results({}).of_stage("confirmation")[WINNER]
    many = {s: replace(m, accuracy=None, average_precision=0.5) for s, m in run.items()}
    with pytest.raises(NotKept, match="many labels"):
        for_new_images(many, many, "validation", 0.05)


def test_arms_that_were_judged_on_other_images_are_not_compared():
    (first, second, *_) = with_answers(planted_results({})).of_stage("confirmation").values()
    short = {s: replace(m, test_right=packed(np.ones(3, bool))) for s, m in second.items()}
    with pytest.raises(NotKept, match="judged on 3 to 400 images"):
        for_new_images(first, short, "test", 0.05)
    with pytest.raises(NotKept, match="no seed in common"):
        for_new_images(first, {}, "test", 0.05)


@pytest.mark.parametrize("on", ["test", "half"])
def test_a_claim_is_judged_on_the_images_that_its_plan_names(on):
    results = planted_results(WINS, f"claim.on={on}")
    results = with_answers(results, ("validation", "test", "half"))
    assert results.judged_on == on
    found = answer(results)
    trainings = results.of_stage("confirmation")
    pair = (found.verdict.chosen, found.verdict.best_end)
    seeds = sorted(trainings[pair[0]])
    mine, theirs = ([judged_score(trainings[arm][s], on) for s in seeds] for arm in pair)
    expected = [a - b for a, b in zip(mine, theirs, strict=True)]
    assert found.verdict.differences == pytest.approx(expected)
    assert found.new_images.images == IMAGES[on]
    (row,) = [row for row in found.rows if row.name == pair[0]]
    assert sorted(row.confirmation) == pytest.approx(sorted(mine))
    assert (found.test is None) == (on == "test")  # or it would stand there twice
    assert "chose nothing" in shown(results)["judged on"]
    assert "chose nothing" in shown(results)["planned before the first training"]


def test_a_training_that_was_not_read_on_these_images_judges_nothing():
    results = planted_results(WINS, "claim.on=half")
    assert "no training of the confirmation is complete yet" in answer(results).reason


def test_other_images_than_planned_are_shown_as_a_change(monkeypatch):
    assert search(monkeypatch, Planted()).exit_code == 0
    assert search(monkeypatch, Planted(), "--set", "claim.on=test").exit_code == 0
    first, second = read_records(URL, "planted").plans
    assert (first.plan.judged_on, second.plan.judged_on) == ("validation", "test")
    assert first.plan.changes(second.plan) == ("judged on: validation, then test",)


def test_half_of_the_images_cannot_be_left_once_all_have_chosen(monkeypatch):
    assert search(monkeypatch, Planted()).exit_code == 0
    result = search(monkeypatch, Planted(), "--set", "claim.on=half")
    assert result.exit_code == 2
    assert "claim.on: was not set, is now half" in result.stderr


def test_a_half_that_judges_is_no_part_of_what_a_study_was_searched_on(monkeypatch):
    """Whatever reads the images of the study later finds them again."""
    assert search(monkeypatch, Planted(), "--set", "claim.on=half").exit_code == 0
    records = read_records(URL, "planted")
    data = data_of(records)
    assert records.data.images == (len(data.train), len(data.validation)) == (80, 12)
    assert len(data.half) == 8


def test_a_plan_of_an_older_version_is_judged_on_the_validation_images():
    (entry,) = planted_results({}).plans
    (kept,) = json.loads(registrations_to_json((entry,)))
    assert kept["plan"].pop("judged_on") == "validation"
    assert registrations_from_json(json.dumps([kept])) == (entry,)


def test_the_identity_of_older_studies_is_unchanged():
    Path("planted.yaml").write_text(MATCHED)
    spaces = [load_space("planted.yaml", [f"claim.on={on}"]) for on in ("validation", "test")]
    assert identity(spaces[0].file) == identity(spaces[1].file)
    assert "claim.on" not in identity(spaces[0].file)


@pytest.mark.parametrize("on", ["test", "half"])
def test_nothing_is_judged_without_a_confirmation(on):
    Path("planted.yaml").write_text(MATCHED.replace("confirm:", "#"))
    with pytest.raises(InputError, match=f"claim.on: {on} is read by the trainings that judge"):
        load_space("planted.yaml", [f"claim.on={on}"])


def test_a_test_split_that_is_not_there_is_said_in_the_words_of_the_file(monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    np.savez("own.npz", images=images, labels=np.arange(100) % 4)
    synthetic = "{source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}"
    text = MATCHED.replace(synthetic, "{source: 'npz:own.npz'}")
    result = search(monkeypatch, Planted(), "--set", "claim.on=test", text=text)
    assert result.exit_code == 2
    assert "claim.on: " in result.stderr
    assert "own.npz has no test split" in result.stderr
    assert "hint: add a test split, or judge on a part of what is there" in result.stderr
