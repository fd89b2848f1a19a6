"""Several budgets in a space file: each a design of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.architecture.cost import count_cost
from nas.space.errors import InputError
from nas.space.load import build_space, read_document
from nas.space.quantities import exact_count, parse_count
from nas.study.design import arms_of, design_seeds
from nas.study.identity import identity
from tests.nas.planting import ARMS, MATCHED, SEARCH

BUDGETS = MATCHED.replace("macs: 200K", "macs: [200K, 0.3M]")


def built(text: str, *overrides: str):
    Path("budgets.yaml").write_text(text)
    return build_space(read_document("budgets.yaml", overrides))


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as error:
        built(text, *overrides)
    return list(map(str, error.value.problems))


def test_every_arm_exists_at_every_budget():
    small, large = built(BUDGETS).budgets
    for space, wanted in ((small, 200_000), (large, 300_000)):
        arms = arms_of(space)
        assert tuple(arm.name for arm in arms) == ARMS
        for arm in arms:
            assert count_cost(arm.architecture).macs == pytest.approx(wanted, rel=0.06)
    assert (small.file.name, large.file.name) == ("planted-200K", "planted-300K")


def test_the_design_of_a_budget_is_what_a_file_of_that_budget_says():
    small, large = built(BUDGETS).budgets
    alone = built(MATCHED.replace("name: planted", "name: planted-200K"))
    assert small.file == alone.file
    assert small.document.value == alone.document.value | {
        "match": {"macs": 200_000, "tolerance": "6%"}
    }
    assert arms_of(small) == arms_of(alone)
    assert identity(small.file) != identity(large.file)


def test_a_space_of_one_budget_is_its_only_one():
    space = built(MATCHED)
    assert space.budgets == (space,)
    assert identity(space.file)["match.macs"] == 200_000  # as studies have kept it
    assert identity(built(MATCHED.replace("200K", "[200K]")).file) == identity(space.file)


def test_seeds_of_different_budgets_have_nothing_to_do_with_each_other():
    seeds = [
        set(design_seeds(space.file.name, 0, "screening", 100)) for space in built(BUDGETS).budgets
    ]
    assert not seeds[0] & seeds[1]


def test_budgets_may_be_set_on_the_command_line_and_be_parameters():
    assert built(MATCHED, "match.macs=[0.1M,200K,150K]").file.match.budgets == (
        *(100_000, 200_000, 150_000),
    )
    of_params = built(MATCHED.replace("macs: 200K", "params: [3K, 6K]"))
    assert [space.file.match.wanted for space in of_params.budgets] == [3000, 6000]


def test_several_budgets_have_no_architectures_of_their_own():
    with pytest.raises(ValueError, match=r"SearchSpace\.budgets"):
        built(BUDGETS).sample(0)


def test_a_search_has_one_budget():
    (problem,) = problems(SEARCH.replace("study:", "match: {macs: [100K, 200K]}\nstudy:"))
    assert "budgets.yaml:13:15: error: match.macs: several budgets are those of a design" in problem
    assert "hint: add design: {seeds: 5}, or name one budget" in problem


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("[100K, 0.1M]", "match.macs: a choice is listed 2 times: 100000"),
        ("[]", "match.macs: expected at least one choice"),
        ("[100K, many]", "match.macs[1]: expected a number such as 300000, 300K or 2M"),
        ("[1, 2, 3, 4, 5, 6, 7, 8, 9]", "match.macs: expected at most 8 items; got 9"),
    ],
)
def test_what_is_no_list_of_budgets(given, said):
    (problem,) = problems(MATCHED.replace("200K", given))
    assert said in problem


def test_what_no_widths_cost_is_said_of_each_budget_with_its_place():
    found = problems(MATCHED.replace("200K", "[1K, 200K, 2K]"))
    assert [p.split(": ")[2] for p in found] == ["match.macs[0]", "match.macs[2]"]
    assert "no widths cost 1,000 MACs within 6.00% in 6 of 6 arms" in found[0]
    assert "hint: all arms can cost from " in found[0]


def test_arms_are_named_with_the_budget_that_they_are_impossible_at():
    found = problems(BUDGETS.replace("6%}", "6%, params: within 1%}"))
    assert any("the arm 1, spatial first at 200K: " in problem for problem in found)
    assert any("the arm C, spatial first at 300K: " in problem for problem in found)


def test_arms_that_are_alike_at_some_budget_are_named_with_it():
    narrow = MATCHED.replace("200K", "[100K, 200K]")
    (found,) = problems(narrow.replace("{seeds: 3", "{seeds: 3, duplicates: refuse"))
    said = "2, spatial first and C/8, spatial first are the same network: one arm at 100K"
    assert found.splitlines()[0].endswith(said)


def test_the_name_leaves_room_for_the_budgets():
    name = "x" * 60
    built(MATCHED.replace("name: planted", f"name: {name}"))
    (problem,) = problems(BUDGETS.replace("name: planted", f"name: {name}"))
    assert "leaves 5 of 64 letters for them; it has 60" in problem
    space = built(BUDGETS.replace("name: planted", f"name: {name[:59]}"))
    assert len(space.budgets[0].file.name) == 64


@given(st.integers(1, 10**18))
def test_the_name_of_a_budget_is_exact(count):
    assert parse_count(str(count)) == count
    text = exact_count(count)
    if count < 10**15:  # as many digits as a float has
        assert parse_count(text) == count
    assert exact_count(500_000) == "500K"
    assert exact_count(1_250_000) == "1.25M"
    assert exact_count(999) == "999"
