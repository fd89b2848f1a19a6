from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.statistics.pareto import (
    GrowingFront,
    attainment_surface,
    hypervolume,
    knee,
    nondominated_order,
    pareto_front,
    reference_point,
)

# Few values, so that ties and duplicates happen.
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)


SOLID = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=20)
"""With two costs."""


def dominates(a, b) -> bool:
    return a[0] >= b[0] and all(x <= y for x, y in zip(a[1:], b[1:], strict=True)) and a != b


@given(st.one_of(POINTS, SOLID))
def test_the_front_is_what_no_point_dominates(points):
    """By brute force: accuracy up, cost down; of equal points the first."""
    expected = {
        index
        for index, point in enumerate(points)
        if not any(dominates(other, point) for other in points) and point not in points[:index]
    }
    front = pareto_front(points)
    assert set(front.tolist()) == expected
    costs = [points[index][1] for index in front]
    assert costs == sorted(costs)


@given(st.one_of(POINTS, SOLID, st.lists(st.tuples(st.integers(0, 6)), min_size=1)))
def test_a_front_that_grows_is_at_any_time_the_front_of_the_points_so_far(points):
    front = GrowingFront()
    for number, point in enumerate(points):
        front.add(number, point)
        expected = {int(index) for index in pareto_front(points[: number + 1])}
        assert set(front.points) == expected
        assert all(front.points[index] == points[index] for index in expected)


@given(POINTS)
def test_the_hypervolume_is_the_area_counted_in_unit_squares(points):
    """Reference (0, 7): squares below the accuracy and right of the cost of some point."""
    expected = sum(
        any(accuracy >= x + 1 and cost <= y for accuracy, cost in points)
        for x, y in itertools.product(range(7), range(7))
    )
    assert hypervolume(points, (0, 7)) == pytest.approx(expected)


@given(SOLID)
def test_the_hypervolume_of_two_costs_is_the_volume_counted_in_unit_cubes(points):
    expected = sum(
        any(a >= x + 1 and c <= y and d <= z for a, c, d in points)
        for x, y, z in itertools.product(range(5), repeat=3)
    )
    assert hypervolume(points, (0, 5, 5)) == pytest.approx(expected)


def test_the_reference_is_worse_in_every_objective():
    assert reference_point([100, 200]) == pytest.approx((0, 220))
    assert reference_point([[100, 5], [200, 1]]) == pytest.approx((0, 220, 5.5))


@given(POINTS, st.tuples(st.integers(0, 6), st.integers(0, 6)))
def test_one_more_point_never_lowers_the_hypervolume(points, another):
    assert hypervolume([*points, another], (0, 7)) >= hypervolume(points, (0, 7)) - 1e-9


def test_a_single_objective_has_a_best_and_no_front():
    assert pareto_front([[0.1], [0.7], [0.3]]).tolist() == [1]


def test_no_points_have_no_front():
    assert pareto_front([]).tolist() == []
    assert hypervolume([], (0, 1)) == 0


@pytest.mark.parametrize("points", [[1.0, 2.0], [[np.nan, 1.0]], [[np.inf, 1.0]]])
def test_what_is_no_table_of_finite_numbers_is_refused(points):
    with pytest.raises(ValueError, match="points are an"):
        pareto_front(points)


def test_the_knee_is_where_more_cost_stops_paying():
    points = [(0.50, 10), (0.88, 100), (0.90, 1000), (0.91, 10_000), (0.4, 5000)]
    assert knee(points) == 1
    assert knee([(0.5, 10), (0.9, 20)]) == 1  # no bend: the most accurate
    assert knee([(0.5, 10)]) == 0
    with pytest.raises(ValueError, match="at least one point"):
        knee([])


@pytest.mark.parametrize(
    "points",
    [
        [(0.12, 10_000), (0.15, 100_000), (0.95, 1_000_000)],  # cost pays more and more
        [(0.1, 10), (0.5, 100), (0.9, 1000)],  # cost pays the same everywhere
    ],
)
def test_a_front_without_a_bend_has_its_knee_at_the_most_accurate(points):
    assert knee(points) == 2
    assert knee(points[::-1]) == 0


def test_the_knee_of_a_single_objective_is_its_best():
    assert knee([[0.1], [0.7], [0.3]]) == 1


@given(st.one_of(POINTS, SOLID))
def test_the_knee_is_on_the_front(points):
    shifted = [(accuracy, *(cost + 1 for cost in costs)) for accuracy, *costs in points]
    assert knee(shifted) in pareto_front(shifted)


@given(POINTS)
def test_a_second_cost_that_tells_nothing_new_leaves_the_knee_where_it_is(points):
    shifted = [(accuracy, cost + 1) for accuracy, cost in points]
    assert knee([(a, c, 7) for a, c in shifted]) == knee(shifted)
    assert knee([(a, c, c) for a, c in shifted]) == knee(shifted)


def test_the_knee_of_two_costs_weighs_both_alike():
    """Gains .8, .9 and 1 for mean prices of a third, two thirds and one."""
    points = [(0.1, 1, 1), (0.82, 10, 10), (0.91, 100, 100), (1.0, 1000, 1000), (0.85, 10, 1000)]
    assert knee(points) == 1
    dear = [(0.1, 1, 1), (0.82, 10, 1000), (0.81, 10, 10), (1.0, 1000, 1000)]
    assert knee(dear) == 2


# Attainment surfaces.


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 8), st.integers(1, 8)), min_size=1, max_size=5),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([20, 50, 75, 100]),
)
def test_a_surface_is_what_so_many_of_the_fronts_attain(fronts, percentile):
    """Against brute force: every point of the grid is attained or not."""
    surface = attainment_surface(fronts, percentile)
    needed = math.ceil(percentile / 100 * len(fronts))

    def attained_by(points, accuracy, cost) -> bool:
        return any(a >= accuracy and c <= cost for a, c in points)

    for accuracy, cost in itertools.product(range(9), range(1, 9)):
        fronts_there = sum(attained_by(front, accuracy, cost) for front in fronts)
        assert attained_by(surface, accuracy, cost) == (fronts_there >= needed)


def test_the_surface_of_a_single_front_is_that_front():
    points = [(0.5, 10), (0.6, 20), (0.4, 30), (0.8, 40)]
    surface = attainment_surface([points], 50)
    assert surface.tolist() == [[0.5, 10], [0.6, 20], [0.8, 40]]
    with pytest.raises(ValueError, match="at least one front"):
        attainment_surface([], 50)


@given(st.one_of(POINTS, SOLID))
def test_no_point_is_ordered_before_one_that_dominates_it(points):
    """And front after front, each peeled off by brute force."""
    order = nondominated_order(points).tolist()
    assert sorted(order) == list(range(len(points)))
    rest, place = set(order), 0
    while rest:
        front = {i for i in rest if not any(dominates(points[j], points[i]) for j in rest)}
        assert set(order[place : place + len(front)]) == front
        rest, place = rest - front, place + len(front)
    assert nondominated_order(points, 3).tolist() == order[:3]


def test_points_evenly_along_a_line_contribute_alike_and_the_knee_is_first():
    line = [(0.1 * i, 1000 * i) for i in range(6)]
    assert nondominated_order(line).tolist() == [5, 4, 3, 2, 1, 0]  # the more accurate first
    bent = [(0.1, 1000), (0.2, 2000), (0.38, 3000), (0.4, 4000), (0.5, 5000)]
    assert nondominated_order(bent)[0] == 2
    scaled = [(100 * a - 7, 3 * c) for a, c in bent]  # neither units nor a shift matter
    assert nondominated_order(scaled).tolist() == nondominated_order(bent).tolist()


def test_a_point_that_is_there_twice_contributes_once():
    assert nondominated_order([(0.5, 2.0), (0.4, 1.0), (0.5, 2.0)]).tolist() == [0, 1, 2]


def test_one_objective_is_ordered_by_its_value():
    assert nondominated_order([[0.2], [0.9], [0.5], [0.9]]).tolist() == [1, 3, 2, 0]
    assert nondominated_order(np.empty((0, 2))).tolist() == []
