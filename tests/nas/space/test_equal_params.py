"""Arms of equal MACs whose parameters are near each other as well."""

from __future__ import annotations

import re
from statistics import median

import pytest

from nas import count_cost
from nas.study.design import arms_of
from tests.nas.planting import MATCHED
from tests.nas.study.test_design import build_space, problem_of


def test_parameters_are_held_near_each_other_beside_equal_macs():
    by_macs = arms_of(build_space(MATCHED))
    both = arms_of(build_space(MATCHED, "match.params=within 8%"))
    assert [arm.name for arm in both] == [arm.name for arm in by_macs]
    counts = [count_cost(arm.architecture).params for arm in by_macs]
    middle = median(counts)
    assert any(abs(count / middle - 1) > 0.08 for count in counts)
    for before, arm, count in zip(by_macs, both, counts, strict=True):
        cost = count_cost(arm.architecture)
        assert abs(cost.params / middle - 1) <= 0.08
        assert abs(cost.macs - 200_000) <= 12_000
        if abs(count / middle - 1) <= 0.08:  # what is near already stays as it is
            assert arm == before


def test_parameters_that_cannot_be_had_are_said_with_the_nearest():
    problem = problem_of(MATCHED, "match.params=within 0.01%")
    assert "match.params: the arm " in problem
    assert re.search(r"up to 2 times as much as others; the nearest has [0-9,]+", problem)


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        (MATCHED, "match.params=within 0%", "match.params: expected a fraction between 0 and 1"),
        (MATCHED, "match={params: within 5%}", "match: expected one of macs, params, latency_ms"),
        (
            MATCHED,
            "match={latency_ms: 2, params: within 5%}",
            "match: params within a part of each other go with macs",
        ),
        (
            MATCHED.replace("design:", "#"),
            "match.params=within 5%",
            "match.params: parameters are compared with those of the other arms",
        ),
    ],
)
def test_parameters_are_near_those_of_other_arms_of_equal_macs(text, override, message):
    assert message in problem_of(text, override)
