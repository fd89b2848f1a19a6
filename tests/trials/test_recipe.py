"""Schedules, and what a recipe's key is of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trials.training import QUICK
from trials.recipe import RECIPES, recipe


@given(st.integers(2, 3000), st.sampled_from([0.0, 0.1, 0.2, 0.5]))
def test_one_cycle_rises_then_falls_to_exactly_zero_at_the_budgets_end(steps, warmup):
    r = replace(QUICK, warmup=warmup)
    rates = [r.learning_rate_at(step, steps, 1000) for step in range(steps + 1)]
    assert rates[-1] == 0.0
    assert all(rate > 0 for rate in rates[:-1])
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) <= r.learning_rate * (1 + 1e-12)
    assert peak <= warmup * steps + 1


def test_the_papers_schedules():
    """Chollet 2016, sections 4.2 and 4.3: x0.94 every 2 epochs; x0.9 every 3,000,000 samples."""
    imagenet, jft = RECIPES["imagenet"], RECIPES["jft"]
    images, steps = 1_281_167, 5005
    at = [imagenet.learning_rate_at(epoch * steps, 10**9, images) for epoch in range(6)]
    assert at[:2] == [0.045, 0.045]
    assert at[3] == pytest.approx(0.045 * 0.94)
    assert at[5] == pytest.approx(0.045 * 0.94**2)
    step = 3_000_000 // jft.batch_size + 1
    assert jft.learning_rate_at(step, 10**9, images) == pytest.approx(0.001 * 0.9)
    assert (imagenet.momentum, imagenet.weight_decay, imagenet.dropout) == (0.9, 1e-5, 0.5)
    assert (jft.optimizer, jft.momentum, jft.polyak > 0) == ("rmsprop", 0.9, True)


def test_a_recipes_key_is_of_what_changes_results():
    assert recipe("proxy").key == recipe("proxy", epochs=99).key  # epochs are recorded apart
    assert recipe("proxy").key != recipe("proxy", learning_rate=0.2).key
    assert recipe("proxy").key == replace(recipe("proxy"), name="mine").key


def test_the_keys_of_earlier_measurements_are_the_same():
    """Those that databases have had since before there was a precision, or weights of classes."""
    keys = {name: found.key for name, found in RECIPES.items()}
    assert keys == {
        "proxy": "8ece7f3f87a46596",
        "imagenet": "02520e279044fa95",
        "jft": "c26f0d0b4f257a5e",
        "final": "ca5c1f4aac13ab4d",
    }
    precisions = (None, "float32", "bfloat16")
    assert len({recipe("proxy", precision=precision).key for precision in precisions}) == 3
    assert len({recipe("proxy", clip=clip).key for clip in (0.0, 1.0, 2.0)}) == 3
    assert len({recipe("proxy", resized_crop=share).key for share in (0.0, 0.08, 0.5)}) == 3
    assert len({recipe("proxy", mixup=alpha).key for alpha in (0.0, 0.2, 1.0)}) == 3
    assert len({recipe("proxy", warm_start=digest).key for digest in ("", "12ab", "34cd")}) == 3
