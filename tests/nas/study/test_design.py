"""Designs of arms and seeds: what is run, in what order, and what may change."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas import count_cost, load_space
from nas.architecture.latency_matching import match_latency
from nas.architecture.matching import MatchError, match_cost, match_params
from nas.architecture.widths import deviation_from
from nas.describe import app as describe
from nas.engine.lock import DriverLock
from nas.space.errors import InputError
from nas.study.design import HANDICAP, Design, arms_from_json, arms_of, arms_to_json, design_seeds
from nas.study.records import read_records
from nas.study.stage_names import confirmation_name
from tests.conftest import ROOT
from tests.nas.driving import finish, measured, open_driver
from tests.nas.planting import ARMS, ENDS, MATCHED, URL, Planted, search
from tests.nas.records import network
from trials.recipe import recipe

UNCONFIRMED = MATCHED.replace("confirm:", "#")
TWO_FRESH_SEEDS = ("--set", "confirm.seeds=2")
"""Where a confirmation is needed, but not a verdict."""


def build_space(text: str, *overrides: str):
    Path("space.yaml").write_text(text)
    return load_space("space.yaml", overrides)


def problem_of(text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as error:
        build_space(text, *overrides)
    return str(error.value)


# Arms.


def test_every_point_of_the_space_is_an_arm_and_the_ends_are_known():
    arms = arms_of(build_space(MATCHED))
    assert tuple(arm.name for arm in arms) == ARMS
    assert tuple(arm.name for arm in arms if arm.role == "end") == ENDS
    assert arms_from_json(arms_to_json(arms)) == arms


@pytest.mark.parametrize("file", ["matched", "ablations"])
def test_the_published_designs_cost_the_same_in_every_arm(file):
    space = load_space(ROOT / "search_spaces" / f"{file}.yaml")
    arms = arms_of(space)
    assert len(arms) == {"matched": 19, "ablations": 48}[file]
    macs = [count_cost(arm.architecture).macs for arm in arms]
    assert max(abs(m / 8_000_000 - 1) for m in macs) <= 0.01
    orders = {arm.choices["order"] for arm in arms}
    if file == "matched":
        assert orders == {"plain", "spatial_first", "pointwise_first"}
        assert len([arm for arm in arms if arm.role == "end"]) == 5


def test_parameters_can_be_made_equal_instead():
    arms = arms_of(build_space(MATCHED.replace("macs: 200K", "params: 9K")))
    counts = [count_cost(arm.architecture).params for arm in arms]
    assert max(abs(count / 9000 - 1) for count in counts) <= 0.06
    assert len({count_cost(arm.architecture).macs for arm in arms}) > 1
    with pytest.raises(MatchError, match="parameters within"):
        match_params(network(), 3, 0.01)


def test_latency_is_matched_by_what_is_measured():
    """A machine on which a network takes a microsecond for each parameter."""

    def latency_ms(architecture) -> float:
        return count_cost(architecture).params / 1000

    matched, measured_ms = match_latency(network(width=12), 2.0, 0.02, latency_ms)
    assert measured_ms == latency_ms(matched) == pytest.approx(2.0, rel=0.02)
    space = build_space(MATCHED.replace("macs: 200K", "latency_ms: 9"))
    arms = arms_of(space, latency_ms)
    assert all(arm.latency_ms == pytest.approx(9, rel=0.06) for arm in arms)
    # What was measured stays: the same command again must not solve other widths.
    assert arms_of(space, lambda _: 1 / 0, solved=arms) == arms


def test_two_names_for_one_network_are_one_arm():
    text = MATCHED.replace("[1, 2, C/8, C/4, C]", "[1, 2, C/8]").replace(
        "match: {macs: 200K, tolerance: 6%}", ""
    )
    arms = arms_of(build_space(text))
    # C/8 of 16 channels is 2 segments; both convolutions have 16 channels to segment.
    assert [arm.name for arm in arms] == ["plain", "1, spatial first", "2, spatial first"]


def test_controls_are_trained_as_what_they_are():
    arms = arms_of(build_space(MATCHED, "design.controls=true"))
    controls = {arm.role: arm for arm in arms if arm.control_of}
    assert [arm.control_of for arm in arms if arm.role == "twin"] == ["plain", "C/8, spatial first"]
    proxy = recipe("proxy")
    twin, handicapped = controls["twin"].recipe(proxy), controls["handicapped"].recipe(proxy)
    assert twin == replace(proxy, initialisation=1)
    assert handicapped == replace(proxy, learning_rate=proxy.learning_rate / HANDICAP)
    # Three recipes: no training of one is taken for one of another.
    assert len({proxy.key, twin.key, handicapped.key}) == 3


# Problems.


def test_what_arms_can_cost_is_said_once():
    problem = problem_of(MATCHED, "match.macs=1K")
    assert problem.count("no widths cost 1,000 MACs within") == 1
    lowest = re.search(r"hint: all arms can cost from ([0-9,]+) to", problem)[1]
    possible = int(lowest.replace(",", "")) * 3
    build_space(MATCHED, f"match.macs={possible}")  # has no problem


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("study.trials=5", "study.trials: a design trains every arm with every seed"),
        ("study.sampler=grid", "study.sampler: a design trains every arm with every seed"),
        ("latency_ms={at_most: 5}", "latency_ms: a search leaves out what is slower"),
        ("macs={at_most: 1M}", "match: macs bounds or matches the MACs"),
    ],
)
def test_sections_that_do_not_go_together_are_problems(override, message):
    assert message in problem_of(MATCHED, override)


def test_a_design_may_draw_each_block_by_itself():
    arms = arms_of(build_space(MATCHED.replace("match:", "#"), "search.scope=block"))
    # Six points of each of two blocks; over 16 channels C/8 is 2 segments, the same network.
    assert len(arms) == 5 * 5


def test_a_design_has_a_bounded_number_of_arms():
    text = MATCHED.replace("[1, 2, C/8, C/4, C]", "1..C").replace("match:", "#")
    problem = problem_of(text, "search.scope=block", "search.activation=[none, relu, elu]")
    assert "design: every architecture is an arm, at most 1000" in problem


def test_match_names_one_cost_and_latencies_need_a_design():
    assert "expected one of macs, params, latency_ms" in problem_of(MATCHED, "match.params=1K")
    without = MATCHED.replace("design: {seeds: 3}", "")
    problem = problem_of(without.replace("macs: 200K", "latency_ms: 2"))
    assert "match.latency_ms: latencies can be made equal in a design only" in problem


def test_controls_need_a_design(monkeypatch):
    result = search(monkeypatch, Planted(), "--controls", text=MATCHED.replace("design:", "#"))
    assert result.exit_code == 2
    assert "--controls: error: adds arms to a design, and planted.yaml has none" in result.stderr


# Trainings.


def test_seeds_are_those_of_the_stage_whatever_the_arms(monkeypatch):
    planted = Planted()
    assert search(monkeypatch, planted, *TWO_FRESH_SEEDS).exit_code == 0
    for study, stage, count in (
        ("planted", "screening", 3),
        (confirmation_name("planted"), "confirmation", 2),
    ):
        seeds: dict[str, list[int]] = {}
        for name, arm, seed in planted.trainings:
            if name == study:
                seeds.setdefault(arm, []).append(seed)
        assert set(map(tuple, seeds.values())) == {design_seeds("planted", 0, stage, count)}
    assert not set(design_seeds("planted", 0, "screening", 1000)) & set(
        design_seeds("planted", 0, "confirmation", 1000)
    )
    assert max(design_seeds("planted", 0, "screening", 1000)) < 2**32


def test_an_interrupted_design_is_balanced_and_goes_on(monkeypatch):
    cut = Planted(stop_after=8)
    assert search(monkeypatch, cut, text=UNCONFIRMED).exit_code == 130
    arms = [arm for _, arm, _ in cut.trainings]
    counts = [arms.count(arm) for arm in ARMS]
    assert max(counts) - min(counts) <= 1
    rest = Planted()
    assert search(monkeypatch, rest, text=UNCONFIRMED).exit_code == 0
    assert sorted(cut.trainings + rest.trainings) == sorted(
        ("planted", arm, seed)
        for arm, seed in itertools.product(ARMS, design_seeds("planted", 0, "screening", 3))
    )


def test_an_interrupted_confirmation_goes_on_with_the_same_arms(monkeypatch):
    cut = Planted(stop_after=18 + 5)
    assert search(monkeypatch, cut, *TWO_FRESH_SEEDS).exit_code == 130
    rest = Planted()
    assert search(monkeypatch, rest, *TWO_FRESH_SEEDS).exit_code == 0
    assert {name for name, _, _ in rest.trainings} == {"planted:confirmation"}
    confirmed = [
        training
        for training in cut.trainings + rest.trainings
        if training[0] == "planted:confirmation"
    ]
    arms = {arm for _, arm, _ in confirmed}
    assert set(ENDS) < arms
    assert len(confirmed) == len(set(confirmed)) == 2 * len(arms)
    again = Planted()
    assert search(monkeypatch, again, *TWO_FRESH_SEEDS).exit_code == 0
    assert again.trainings == []


def solved_otherwise(monkeypatch, module: str) -> None:
    """Widths as an earlier version solved them: others, within the tolerance as well."""

    def match_another(architecture, wanted, of, unit, tolerance=0.01):
        return match_cost(architecture, wanted * (1 + 0.8 * tolerance), of, unit, tolerance / 5)

    monkeypatch.setattr(f"{module}.match_cost", match_another)


def test_a_study_goes_on_with_the_widths_that_it_was_begun_with(monkeypatch):
    with monkeypatch.context() as earlier:
        solved_otherwise(earlier, "nas.space.search_space")
        assert search(earlier, cut := Planted(stop_after=8), text=UNCONFIRMED).exit_code == 130
    begun = read_records(URL, "planted").arms
    now = arms_of(build_space(UNCONFIRMED))
    assert [arm.name for arm in begun] == [arm.name for arm in now]
    assert [arm.architecture for arm in begun] != [arm.architecture for arm in now]
    assert search(monkeypatch, rest := Planted(), text=UNCONFIRMED).exit_code == 0
    records = read_records(URL, "planted")
    assert records.arms == begun
    assert len(cut.trainings + rest.trainings) == 3 * len(ARMS)
    trained = {(trial.arm, trial.architecture) for trial in records.trials}
    assert trained == {(arm.name, arm.architecture) for arm in begun}


def test_more_seeds_and_controls_are_added_to_what_is_there(monkeypatch):
    search(monkeypatch, Planted(), text=UNCONFIRMED)
    more = Planted()
    options = ("--set", "design.seeds=4", "--controls")
    result = search(monkeypatch, more, *options, text=UNCONFIRMED)
    assert result.exit_code == 0, result.stderr
    screened = [(arm, seed) for _, arm, seed in more.trainings]
    new = design_seeds("planted", 0, "screening", 4)
    assert [training for training in screened if training[0] in ARMS] == [
        (arm, new[3]) for arm in ARMS
    ]
    assert len(screened) == len(ARMS) + 3 * 4  # three controls with all four seeds


def test_fewer_seeds_than_were_run_still_run_new_arms(sqlite):
    text = MATCHED + "study: {seed: 3}\n"
    space = build_space(text)
    arms = arms_of(space)
    driver = design_driver(sqlite, text, Design(arms[:2], (1, 2, 3)))
    finish(driver)
    driver.close()
    driver = design_driver(sqlite, text, Design(arms[:3], (1,)))
    assert not driver.finished
    assert len(finish(driver)) == 1
    assert driver.finished
    driver.close()


def design_driver(url, text: str, design: Design):
    from nas.engine.driver import Driver
    from nas.space.load import build_space as checked
    from nas.space.load import read_document
    from trials.data import load

    Path("space.yaml").write_text(text)
    document = read_document("space.yaml")
    space = checked(document)
    data = load(space.file.data.config).summary
    return Driver.open(url, "planted", space, data, Path("outbox"), design)


def test_a_failed_run_is_not_tried_again_and_the_others_go_on(sqlite):
    arms = arms_of(build_space(MATCHED))
    driver = design_driver(sqlite, MATCHED, Design(arms[:3], (1, 2)))
    failed = driver.next()
    driver.record(
        failed.trial,
        measured(driver, failed, state="failed", reason="not finite: loss nan", accuracy=None),
    )
    assert len(finish(driver)) == 5
    assert driver.finished
    driver.close()
    records = read_records(sqlite, "planted")
    assert [t.arm for t in records.trials if t.state == "failed"] == [failed.arm]
    assert sorted(len(trial.seeds) for trial in records.complete) == [1, 2, 2]


def test_an_arm_is_shown_as_the_mean_of_its_seeds_and_controls_are_no_result(monkeypatch):
    planted = Planted({"C/4, spatial first": 0.05})
    search(monkeypatch, planted, "--controls", text=UNCONFIRMED)
    records = read_records(URL, "planted")
    assert sorted(trial.arm for trial in records.complete) == sorted(ARMS)
    assert all(len(trial.seeds) == 3 for trial in records.complete)
    (best,) = records.front
    assert best.arm == "C/4, spatial first"


def test_a_search_is_no_design_and_the_other_way_round(monkeypatch):
    once = ("--set", "design.seeds=1")
    assert search(monkeypatch, Planted(), *once, text=UNCONFIRMED).exit_code == 0
    with DriverLock(URL, "planted"):
        pass  # it was given back
    text = MATCHED.replace("design: {seeds: 3}", "study: {trials: 3}").replace("confirm:", "#")
    result = search(monkeypatch, Planted(), text=text)
    assert result.exit_code == 2
    assert "design: was arms with seeds, is now not set" in result.stderr


def test_the_mismatch_of_each_arm_is_printed(monkeypatch):
    once = ("--set", "design.seeds=1")
    result = search(monkeypatch, Planted(), *once, text=UNCONFIRMED)
    table = result.stdout.splitlines()[: 1 + len(ARMS)]
    numbers = ["MACs", "parameters", "activations", "off", "by", "deviation"]
    assert table[0].split() == ["arm", "role", "widths", *numbers]
    space = build_space(MATCHED)
    for line, arm in zip(table[1:], arms_of(space), strict=True):
        cost = count_cost(arm.architecture)
        assert line.startswith(arm.name)
        assert line.split()[-5:] == [
            f"{cost.macs:,}",
            f"{cost.params:,}",
            f"{cost.activations:,}",
            f"{cost.macs / 200_000 - 1:+.2%}",
            f"{deviation_from(space.unmatched(arm.choices), arm.architecture):.1%}",
        ]
    described = CliRunner().invoke(describe, ["planted.yaml"])
    assert all(arm in described.stdout for arm in ARMS)


def test_a_plain_search_has_its_own_seeds_still(sqlite):
    driver = open_driver(sqlite)
    first, second = driver.next(), driver.next()
    assert first.seeds != second.seeds
    assert (first.arm, first.role) == ("", "")
    driver.requeue_running()
    driver.close()
