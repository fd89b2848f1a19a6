"""The benchmark of full-size Xception: what is timed is the same network."""

from __future__ import annotations

import pytest
import torch
from torch import nn


def test_all_contenders_compute_the_same_and_make_a_step():
    import family

    steps, difference = family.contenders(image_size=71, batch_size=2)
    assert difference < 1e-5
    for step in steps.values():
        step()


def test_another_network_is_not_compared():
    import family

    with pytest.raises(ValueError, match="other parameters"):
        family.give_weights(nn.Linear(3, 2), nn.Linear(2, 2))
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    with pytest.raises(ValueError, match="outputs differ by"):
        family.check_outputs(one, other, torch.ones(2, 3))
