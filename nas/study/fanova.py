"""How much of the variance of trees' predictions each choice explains (fANOVA, Hutter 2014).

What `optuna.importance.FanovaImportanceEvaluator` computes, to the last digits, for all boxes of a
tree at once: it walks each tree again for every cell of every choice, which takes three times as
long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

Floats = NDArray[np.float64]


def explained_shares(
    inputs: Floats,
    values: Floats,
    bounds: Floats,
    columns: Sequence[NDArray[np.int64]],
    trees: int,
    seed: int,
) -> Floats:
    """Share of the variance that each choice explains by itself: (choices,), mean over the trees.

    Zeros where no tree has found a difference.

    Args:
        inputs: (N, C), a choice takes one column or, as one of several names, a column for each.
        values: (N,) to predict.
        bounds: (C, 2) of the columns.
        columns: of each choice.
    """
    forest = RandomForestRegressor(trees, max_depth=64, random_state=seed).fit(inputs, values)
    found = [_shares_of_tree(tree, bounds, columns) for tree in forest.estimators_]
    shares = [share for share in found if share is not None] or [np.zeros(len(columns))]
    mean: Floats = np.mean(shares, axis=0)
    return mean


def _shares_of_tree(
    regressor: DecisionTreeRegressor, bounds: Floats, columns: Sequence[NDArray[np.int64]]
) -> Floats | None:
    """(choices,); None where the tree predicts the same everywhere."""
    low, high, values = _boxes(regressor, bounds)
    sizes = high - low  # (boxes, C)
    whole = _variance(values, sizes.prod(axis=1))
    if whole <= 0:
        return None
    splits = [np.unique(low[:, column]) for column in range(len(bounds))]
    shares = [_variance_of(low, high, values, splits, bounds, of) / whole for of in columns]
    return np.array(shares)


def _boxes(regressor: DecisionTreeRegressor, bounds: Floats) -> tuple[Floats, Floats, Floats]:
    """Lower and upper bounds of the leaves, (boxes, C), and what is predicted in each, (boxes,)."""
    tree = regressor.tree_
    low = np.repeat(bounds[None, :, 0], tree.node_count, axis=0)
    high = np.repeat(bounds[None, :, 1], tree.node_count, axis=0)
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    for node in np.flatnonzero(feature >= 0):  # parents come before their children
        for child in (left[node], right[node]):
            low[child], high[child] = low[node], high[node]
        column = feature[node]
        high[left[node], column] = low[right[node], column] = tree.threshold[node]
    leaves = feature < 0
    return low[leaves], high[leaves], tree.value[leaves, 0, 0]


def _variance_of(
    low: Floats,
    high: Floats,
    values: Floats,
    splits: Sequence[Floats],
    bounds: Floats,
    columns: NDArray[np.int64],
) -> float:
    """Of the predictions over the cells of a choice, averaged over all others."""
    split = [column for column in columns if len(splits[column]) > 1]
    if not split:
        return 0.0
    sizes = high - low
    others = np.delete(sizes, split, axis=1).prod(axis=1)  # (boxes,)
    there = np.ones((1, len(values)), dtype=bool)  # (cells, boxes): which boxes a cell cuts
    weights = np.ones(1)  # (cells,)
    for column in split:
        starts = splits[column]
        ends = np.append(starts[1:], bounds[column, 1])
        middles = (0.5 * (starts + ends))[:, None]
        inside = (low[:, column] < middles) & (middles < high[:, column])
        there = (there[:, None] & inside[None]).reshape(-1, len(values))
        weights = np.outer(weights, ends - starts).ravel()
    means = (there @ (others * values)) / (there @ others)
    return _variance(means, weights)


def _variance(values: Floats, weights: Floats) -> float:
    mean = np.average(values, weights=weights)
    return float(np.average((values - mean) ** 2, weights=weights))
