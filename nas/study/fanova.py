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
    parts = (high - low) / (bounds[:, 1] - bounds[:, 0])  # (boxes, C) of each column
    volumes = parts.prod(axis=1)
    centred = values - volumes @ values
    whole = float(volumes @ centred**2)
    if whole <= 0:
        return None
    return np.array([_variance_of(low, high, parts, centred, bounds, of) for of in columns]) / whole


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
    parts: Floats,
    centred: Floats,
    bounds: Floats,
    columns: NDArray[np.int64],
) -> float:
    """Of the predictions over the cells of a choice, averaged over all others.

    Boxes fill the whole space, so that average is a sum over the boxes that a cell cuts, each by
    its part of the other choices. Of cells there are two to the power of the names of a choice:
    where these are many, pairs of boxes take their place. The square of that sum is one over pairs,
    and what its mean takes of each is the part of the choice that both cut, a product over columns.
    """
    split = [column for column in columns if (low[:, column] > bounds[column, 0]).any()]
    if not split:
        return 0.0
    terms = centred * np.delete(parts, split, axis=1).prod(axis=1)  # (boxes,)
    both = None  # (boxes, boxes) of the columns that came first
    there, weights = np.ones((1, len(terms)), dtype=bool), np.ones(1)  # (cells, boxes), (cells,)
    for column in split:
        if len(weights) > len(terms):
            both = _cut_by_both(there, weights, both)
            there, weights = np.ones_like(there[:1]), np.ones(1)
        starts = np.unique(low[:, column])
        ends = np.append(starts[1:], bounds[column, 1])
        middles = (0.5 * (starts + ends))[:, None]
        inside = (low[:, column] < middles) & (middles < high[:, column])
        there = (there[:, None] & inside[None]).reshape(-1, len(terms))
        widths = (ends - starts) / (bounds[column, 1] - bounds[column, 0])
        weights = np.outer(weights, widths).ravel()
    if both is None:
        return float(weights @ (there @ terms) ** 2)
    return float(terms @ _cut_by_both(there, weights, both) @ terms)


def _cut_by_both(there: NDArray[np.bool_], weights: Floats, before: Floats | None) -> Floats:
    """The part of some columns that two boxes cut: (boxes, boxes)."""
    both: Floats = (there.T * weights) @ there
    return both if before is None else both * before
