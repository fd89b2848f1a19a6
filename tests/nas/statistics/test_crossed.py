"""How sure a difference is for new seeds and new images: its parts, its variance, its coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas.statistics.crossed import Crossed

TABLES = st.tuples(st.integers(2, 6), st.integers(2, 30)).flatmap(
    lambda shape: arrays(np.int8, shape, elements=st.integers(-1, 1))
)


def drawn(rng, seeds: int, images: int, of_seeds: float, of_images: float, rest: float):
    """A table of mean zero, of normal parts with these standard deviations."""
    return (
        rng.normal(0, of_seeds, (seeds, 1))
        + rng.normal(0, of_images, (1, images))
        + rng.normal(0, rest, (seeds, images))
    )


@given(TABLES)
def test_the_parts_are_those_of_the_analysis_of_variance(table):
    """Sums of squares written out, entry by entry."""
    seeds, images = table.shape
    found, mean = Crossed.of(table), table.mean()
    of_seed = [table[s].mean() - mean for s in range(seeds)]
    of_image = [table[:, i].mean() - mean for i in range(images)]
    rest = sum(
        (table[s, i] - mean - of_seed[s] - of_image[i]) ** 2
        for s in range(seeds)
        for i in range(images)
    )
    cells = seeds * images
    assert found.mean == pytest.approx(mean)
    assert found.of_seeds == pytest.approx(sum(x * x for x in of_seed) / (seeds - 1) / seeds)
    assert found.of_images == pytest.approx(sum(x * x for x in of_image) / (images - 1) / images)
    assert found.of_rest == pytest.approx(rest / ((seeds - 1) * (images - 1)) / cells)


@given(TABLES, st.floats(0.01, 0.4))
@example(np.array([[0, 1, 1], [1, 0, 1]]), 0.03125)  # whose rest has more freedom than its images
def test_new_seeds_and_images_are_never_surer_than_new_images_alone(table, alpha):
    found = Crossed.of(table)
    assert found.of_both >= max(found.of_seeds, found.of_images) * (1 - 1e-9)
    both, images = found.for_new_seeds_and_images(alpha), found.for_new_images(alpha)
    assert both.lower <= images.lower + 1e-12
    assert images.upper <= both.upper + 1e-12
    assert images.lower <= found.mean <= images.upper


@settings(max_examples=25)
@given(TABLES, st.integers(-5, 5), st.permutations(range(6)))
def test_a_shift_moves_the_bounds_and_the_order_of_seeds_does_not(table, shift, order):
    before = Crossed.of(table).for_new_seeds_and_images(0.05)
    moved = Crossed.of(table[[s for s in order if s < len(table)]] + float(shift))
    assert moved.for_new_seeds_and_images(0.05) == pytest.approx([x + shift for x in before])


def test_the_variance_is_what_resampling_both_gives_but_for_the_rest_that_it_counts_thrice():
    rng = np.random.default_rng(0)
    table = drawn(rng, 12, 60, 0.3, 1.0, 2.0)
    seeds, images = table.shape
    means = [
        table[rng.integers(0, seeds, seeds)][:, rng.integers(0, images, images)].mean()
        for _ in range(20_000)
    ]
    found = Crossed.of(table)
    s, i = (seeds - 1) / seeds, (images - 1) / images
    expected = s * found.of_seeds + i * found.of_images + s * i * found.of_rest
    assert np.var(means) == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize(
    ("seeds", "images", "parts"),
    [(8, 400, (0.02, 0.2, 0.5)), (4, 200, (0.05, 0.3, 0.5)), (24, 300, (0.01, 0.1, 0.4))],
)
def test_the_variance_is_right_on_average_and_the_bounds_as_often(seeds, images, parts):
    """2,000 studies whose true difference is zero: each bound misses it in 5%, or less."""
    rng = np.random.default_rng(1)
    found = [Crossed.of(drawn(rng, seeds, images, *parts)) for _ in range(2000)]
    squares = [part**2 for part in parts]
    true = np.dot(squares, [1 / seeds, 1 / images, 1 / (seeds * images)])
    assert np.mean([one.of_both for one in found]) == pytest.approx(true, rel=0.06)
    bounds = np.array([one.for_new_seeds_and_images(0.05)[1:] for one in found])
    missed = np.mean(bounds[:, 0] > 0), np.mean(bounds[:, 1] < 0)
    assert max(missed) < 0.065  # three standard errors above the level
    alone = np.array([one.for_new_images(0.05)[1:] for one in found])
    if parts[0] > 0.01:  # which knows nothing of new seeds
        assert np.mean(alone[:, 0] > 0) > np.mean(bounds[:, 0] > 0)


def test_new_images_alone_are_covered_by_these_trainings():
    """Of the same networks on thousands of fresh samples of images."""
    rng = np.random.default_rng(2)
    pool = rng.random((5, 200_000)) < 0.8
    other = pool ^ (rng.random(pool.shape) < 0.15)
    differences = pool.astype(int) - other
    truth, missed = differences.mean(), []
    for _ in range(1500):
        sample = differences[:, rng.integers(0, 200_000, 300)]
        _, lower, upper = Crossed.of(sample).for_new_images(0.05)
        missed.append((truth < lower, truth > upper))
    assert np.max(np.mean(missed, axis=0)) < 0.067


def test_a_single_seed_says_nothing_of_new_ones():
    found = Crossed.of([[0, 1, 0, -1, 1]])
    assert found.for_new_seeds_and_images(0.05) == (0.2, -np.inf, np.inf)
    assert found.for_new_images(0.05).lower > -1


def test_networks_that_are_right_on_the_same_images_differ_nowhere():
    assert Crossed.of(np.zeros((3, 50))).for_new_seeds_and_images(0.05) == (0, 0, 0)


@pytest.mark.parametrize("table", [[[1.0]], [1.0, 2.0], np.zeros((0, 5)), [[np.nan, 1.0]]])
def test_what_is_no_table_is_refused(table):
    with pytest.raises(ValueError, match=r"table has at least|finite numbers"):
        Crossed.of(table)
