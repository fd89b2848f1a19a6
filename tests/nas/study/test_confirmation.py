"""What is confirmed, with which seeds, and that nothing reads the test split before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nas.study.confirmation import arms_to_confirm, screened_front
from nas.study.design import design_seeds
from nas.study.records import read_records
from nas.study.stage_names import confirmation_name
from tests.nas.planting import ARMS, ENDS, MATCHED, URL, WINNER, Planted, search
from tests.nas.study.test_design import TWO_FRESH_SEEDS, UNCONFIRMED, build_space
from trials.store import Store


def screened(monkeypatch, effects, *options: str):
    """Records of a design that was run without its confirmation."""
    result = search(monkeypatch, Planted(effects), *options, text=UNCONFIRMED)
    assert result.exit_code == 0, result.stderr
    return read_records(URL, "planted")


def chosen(monkeypatch, effects, *overrides: str) -> list[str]:
    records = screened(monkeypatch, effects)
    space = build_space(MATCHED, *overrides)
    return [arm.name for arm in arms_to_confirm(records, space, records.arms)]


def test_the_best_and_both_ends_are_confirmed(monkeypatch):
    names = chosen(monkeypatch, {WINNER: 0.05})
    assert names[0] == WINNER
    assert set(names) == {WINNER, *ENDS}


def test_arms_that_may_be_the_best_come_first_the_least_decided_ahead(monkeypatch):
    effects = {WINNER: 0.05, "C/8, spatial first": 0.0495}
    records = screened(monkeypatch, effects)
    names = [a.name for a in arms_to_confirm(records, build_space(MATCHED), records.arms)]
    assert set(names[:2]) == set(effects)
    candidates = [arm for arm in records.arms if not arm.control_of]
    front = screened_front(records, candidates)
    doubt = dict(zip([a.name for a in candidates], np.abs(front.probabilities - 0.5), strict=True))
    assert doubt[names[0]] <= doubt[names[1]]


def test_the_best_interior_point_is_confirmed_even_where_an_end_wins(monkeypatch):
    names = chosen(monkeypatch, {"plain": 0.05, "2, spatial first": 0.02})
    assert set(names) == {"2, spatial first", *ENDS}


def test_all_arms_can_be_confirmed(monkeypatch):
    assert chosen(monkeypatch, {WINNER: 0.05}, "confirm.arms=all") == list(ARMS)


def test_a_single_screening_seed_rules_out_no_arm(monkeypatch):
    records = screened(monkeypatch, {WINNER: 0.05}, "--set", "design.seeds=1")
    names = {arm.name for arm in arms_to_confirm(records, build_space(MATCHED), records.arms)}
    assert names == set(ARMS)


def test_controls_are_confirmed_with_their_originals(monkeypatch):
    records = screened(monkeypatch, {WINNER: 0.05}, "--controls")
    names = {arm.name for arm in arms_to_confirm(records, build_space(MATCHED), records.arms)}
    controls = {arm.name for arm in records.arms if arm.control_of}
    originals = {arm.control_of for arm in records.arms if arm.control_of}
    assert controls | originals <= names


# The test split.


def write_images_with_a_damaged_test_split(file: str) -> None:
    """Its images are objects, which raise when they are read."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 255, (100, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(100) % 4,
        "x_test": np.array([None] * 20),
        "y_test": np.arange(20) % 4,
    }
    np.savez(file, **arrays)


NPZ = MATCHED.replace(
    "{source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}", "{source: 'npz:data.npz'}"
)


def test_nothing_reads_the_test_split_before_the_confirmation(monkeypatch):
    """Its arrays raise when they are read."""
    write_images_with_a_damaged_test_split("data.npz")
    without = Planted()
    text = NPZ.replace("confirm:", "#")
    result = search(monkeypatch, without, text=text, results=True)
    assert result.exit_code == 0, result.stderr
    assert len(without.trainings) == 3 * len(ARMS)
    assert Path("runs/planted/report.html").is_file()

    result = search(monkeypatch, Planted(), text=NPZ, results=True)
    assert result.exit_code == 2
    assert "data.source: the test split:" in result.stderr
    assert read_records(URL, confirmation_name("planted")).trials == ()
    assert len(read_records(URL, "planted").complete) == len(ARMS)  # what was found stays


def test_the_whole_test_split_is_read_by_the_confirmation_alone(monkeypatch):
    reads = []
    from nas.engine import study_data

    load_test = study_data.load_test
    monkeypatch.setattr(
        study_data, "load_test", lambda *a: reads.append(len(planted.trainings)) or load_test(*a)
    )
    planted = Planted()
    assert search(monkeypatch, planted, *TWO_FRESH_SEEDS).exit_code == 0
    assert reads == [3 * len(ARMS)]  # after the last screening training, once
    confirmed = [
        training for training in planted.trainings if training[0] == confirmation_name("planted")
    ]
    assert planted.tested == len(confirmed)
    measured = Store(URL).all()
    fresh = set(design_seeds("planted", 0, "confirmation", 2))
    assert {m.seed in fresh for m in measured if m.test_accuracy is not None} == {True}
    assert {m.seed in fresh for m in measured if m.test_accuracy is None} == {False}


def test_an_unconfirmed_study_is_confirmed_later(monkeypatch):
    screened(monkeypatch, {WINNER: 0.05})
    later = Planted({WINNER: 0.05})
    assert search(monkeypatch, later, *TWO_FRESH_SEEDS).exit_code == 0
    assert {name for name, _, _ in later.trainings} == {confirmation_name("planted")}
    plans = read_records(URL, "planted").plans
    assert [entry.plan.confirmation_seeds for entry in plans] == [0, 2]
    assert plans[1].results == {"screening": 3 * len(ARMS), "confirmation": 0}
    assert replace(plans[1].plan, confirmation_seeds=0, confirmed="") == plans[0].plan
