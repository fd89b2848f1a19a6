"""What is tried for each arm, and which of it the arm is given."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nas import count_cost
from nas.architecture.operators import OPERATORS
from nas.architecture.widths import widths_of
from nas.space import SearchSpace
from nas.space.tune_section import TuneSection
from nas.study.design import HANDICAP, arms_from_json, arms_of, arms_to_json
from nas.study.setting import NOT_TUNED, Setting, setting_from_json, setting_to_json
from nas.study.tuning import at_the_edge, is_tuned, settings_of, tuned, variants_of
from tests.nas.planting import ARMS, MATCHED, WINNER
from tests.nas.records import network, trial
from tests.nas.study.test_design import build_space, problem_of
from trials.bounded_json import JsonError
from trials.recipe import recipe

RATES = "tune: {learning_rate: [0.5x, 1x, 2x, 4x]}\n"
TUNED = MATCHED + RATES
SPACE = SearchSpace(yaml.safe_load(MATCHED))


def section(**sections) -> TuneSection:
    return TuneSection.model_validate(sections)


RATE = section(learning_rate=("0.5x", "1x", "2x", "4x"))


def results(arm: str, scores: dict[Setting, list[float | None]]):
    """Trainings of an arm's variants; None is one that has failed."""
    return [
        replace(
            trial(0, score or 0.0, network()),
            state="failed" if score is None else "complete",
            accuracy=score,
            control_of=arm,
            setting=setting,
        )
        for setting, of_setting in scores.items()
        for score in of_setting
    ]


def chosen(scores: dict[str, list[float | None]]) -> str:
    """Of settings that are written ``2x``: the best, of an arm that was tuned by them."""
    tune = section(learning_rate=tuple(scores))
    (arm,) = [arm for arm in arms_of(SPACE) if arm.name == WINNER]
    settings = dict(zip(settings_of(arm, tune), scores.values(), strict=True))
    (best,) = tuned([arm], tune, results(WINNER, settings))
    return str(best.setting)


# The file.


def test_every_arm_is_tried_with_every_combination():
    space = build_space(MATCHED + "tune: {learning_rate: [1x, 2x], weight_decay: [0.5x, 1x]}")
    assert space.file.tune.seeds == 2
    arms = arms_of(space)
    variants = variants_of(arms, space.file.tune)
    assert len({arm.name for arm in variants}) == len(variants) == 4 * len(ARMS)
    assert variants[1].name == "plain; learning rate 2x, weight decay 0.5x"
    keys = {(arm.architecture.key, arm.recipe(recipe("proxy")).key) for arm in variants}
    assert len(keys) == len(variants)


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ("{learning_rate: [0.1, 0.2]}", "a multiple of the recipe's value such as 0.5x; got 0.1"),
        ("{learning_rate: [0x, 1x]}", "a multiple of the recipe's value such as 0.5x; got '0x'"),
        ("{learning_rate: [-1x, 1x]}", "such as 0.5x; got '-1x'"),
        ("{learning_rate: 2x}", "tune.learning_rate: expected at least two to choose from"),
        ("{learning_rate: [1x, 1.0x]}", "a choice is listed 2 times: 1.0"),
        ("{activation: [none, tanh]}", "tune.activation[1]: must be"),
        ("{seeds: 3}", "tune: expected learning_rate, weight_decay or activation; got none"),
        ("{learning_rates: [1x, 2x]}", "tune.learning_rates: unknown key"),
        ("{learning_rate: [1x, 2x], seeds: 0}", "tune.seeds: must be greater than"),
    ],
)
def test_what_is_wrong_with_the_section_is_said(tune, message):
    assert message in problem_of(MATCHED + f"tune: {tune}\n")


def test_a_search_has_no_arms_to_tune():
    problem = problem_of(TUNED.replace("design:", "#"))
    assert "tune: the arms of a design are tuned, and there is no design" in problem
    assert "hint: add design: {seeds: 5}, or leave it out" in problem


def test_no_weight_decay_has_no_multiples():
    text = MATCHED + "tune: {weight_decay: [1x, 2x]}\n"
    problem = problem_of(text, "training.weight_decay=0")
    assert "tune.weight_decay: the recipe has no weight decay" in problem


@pytest.mark.parametrize(
    ("place", "override"),
    [
        ("search.activation", "search.activation=[none, relu]"),
        ("network.blocks[1].activation", "network.blocks[1].activation=relu"),
    ],
)
def test_the_activation_is_tuned_or_the_spaces_own(place, override):
    text = MATCHED.replace("scope: network", "scope: block")
    text += "tune: {activation: [none, relu]}\n"
    message = f"{place}: tune.activation chooses it for each arm"
    assert message in problem_of(text.replace("match:", "#"), override)


def test_an_activation_takes_time_where_latencies_are_equal():
    text = MATCHED.replace("macs: 200K", "latency_ms: 2") + "tune: {activation: [none, relu]}\n"
    assert "tune.activation: an activation takes time" in problem_of(text)


# What is tried.


def test_an_activation_is_tried_where_there_is_one_and_costs_nothing():
    tune = section(activation=("none", "relu", "elu"))
    arms = {arm.name: arm for arm in arms_of(SPACE)}
    variants = variants_of(tuple(arms.values()), tune)
    assert {v.control_of for v in variants} == set(ARMS) - {"plain"}
    for variant in variants:
        original = arms[variant.control_of].architecture
        assert count_cost(variant.architecture) == count_cost(original)
        assert widths_of(variant.architecture) == widths_of(original)
        points = [block.point for block in variant.architecture.blocks]
        assert {point.activation for point in points} == {variant.setting.activation}


def test_blocks_without_a_step_between_stay_as_they_are():
    text = MATCHED.replace("match:", "#").replace("scope: network", "scope: block")
    tune = section(activation=("relu", "elu"))
    arms = arms_of(build_space(text))
    mixed = [arm for arm in arms if len({b.point.order for b in arm.architecture.blocks}) == 2]
    assert mixed
    for variant in variants_of(mixed, tune):
        for block in variant.architecture.blocks:
            separable = OPERATORS[block.point.order].separable
            assert (block.point.activation != "none") == separable


# What is chosen.


def test_the_highest_mean_is_chosen():
    assert chosen({"0.5x": [0.5, 0.6], "1x": [0.9, 0.1], "2x": [0.6, 0.6]}) == "learning rate 2x"


def test_of_equal_ones_the_nearest_to_the_recipe_is_chosen():
    assert chosen({"8x": [0.5], "0.25x": [0.5], "2x": [0.5], "4x": [0.5]}) == "learning rate 2x"
    assert chosen({"4x": [0.5], "1x": [0.5]}) == "learning rate 1x"


def test_what_failed_is_not_chosen_where_something_came_through():
    assert chosen({"1x": [0.05, 0.05], "2x": [0.9, None]}) == "learning rate 1x"
    assert chosen({"1x": [0.0], "4x": [None]}) == "learning rate 1x"
    assert chosen({"0.5x": [0.0], "1x": [None]}) == "learning rate 0.5x"


def test_where_all_failed_it_is_the_recipe():
    assert chosen({"4x": [None], "1x": [None], "2x": [None]}) == "learning rate 1x"


@given(st.permutations([0.2, 0.4, 0.6, 0.8]), st.integers(0, 3))
def test_the_order_of_results_does_not_matter(scores, turn):
    (arm,) = [arm for arm in arms_of(SPACE) if arm.name == WINNER]
    settings = settings_of(arm, RATE)
    found = results(WINNER, {s: [score] for s, score in zip(settings, scores, strict=True)})
    (best,) = tuned([arm], RATE, found[turn:] + found[:turn])
    assert best.setting == settings[scores.index(0.8)]


def test_controls_have_what_their_original_has():
    arms = arms_of(build_space(TUNED, "design.controls=true"))
    tune = section(learning_rate=("1x", "4x"), activation=("none", "relu"))
    assert {v.control_of for v in variants_of(arms, tune)} == set(ARMS)
    best = Setting(4.0, None, "relu")
    plain = Setting(4.0)
    scores = {s: [0.9 if s in (best, plain) else 0.1] for a in arms for s in settings_of(a, tune)}
    found = tuned(arms, tune, [t for name in ARMS for t in results(name, scores)])
    assert [arm.name for arm in found] == [arm.name for arm in arms]
    by_name = {arm.name: arm for arm in found}
    proxy = recipe("proxy")
    for arm in found:
        if arm.control_of:
            original = by_name[arm.control_of]
            assert arm.setting == original.setting != NOT_TUNED
            assert arm.architecture == original.architecture
    assert by_name["handicapped plain"].recipe(proxy).learning_rate == 0.4 / HANDICAP
    twin = by_name["twin of plain"].recipe(proxy)
    assert (twin.learning_rate, twin.initialisation) == (0.4, 1)


def test_the_edge_of_what_was_tried_is_said():
    assert list(at_the_edge("C/4", Setting(4.0), RATE)) == [
        "C/4: learning rate 4x is the highest that was tried"
    ]
    assert list(at_the_edge("C/4", Setting(0.5), RATE)) == [
        "C/4: learning rate 0.5x is the lowest that was tried"
    ]
    assert not list(at_the_edge("C/4", Setting(1.0), RATE))
    assert not list(at_the_edge("C/4", NOT_TUNED, RATE))


# What is kept.


@given(
    st.builds(
        Setting,
        st.none() | st.floats(1e-6, 1e6),
        st.none() | st.floats(1e-6, 1e6),
        st.none() | st.sampled_from(["none", "relu", "elu", "gelu", "silu"]),
    )
)
def test_a_setting_is_read_as_it_was_written(setting):
    assert setting_from_json(setting_to_json(setting)) == setting


def test_what_is_no_setting_is_refused():
    for text in ('{"learning_rate": 0}', '{"activation": "tanh"}', "[]", "2x"):
        with pytest.raises(JsonError):
            setting_from_json(text)


def test_arms_keep_their_settings_and_earlier_ones_have_none():
    arms = arms_of(SPACE)
    assert not is_tuned(arms)
    given = tuple(replace(arm, setting=Setting(2.0)) for arm in arms)
    assert arms_from_json(arms_to_json(given)) == given
    assert is_tuned(given)
    earlier = arms_to_json(arms).replace(
        ',"setting":{"learning_rate":null,"weight_decay":null,"activation":null}', ""
    )
    assert "setting" not in earlier
    assert arms_from_json(earlier) == arms


def test_what_was_not_tuned_is_the_recipe_as_it_is():
    proxy = recipe("proxy")
    assert NOT_TUNED.recipe(proxy) == proxy
    assert Setting(1.0, 1.0).recipe(proxy).key == proxy.key
