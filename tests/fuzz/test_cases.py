"""Spaces, options and files of any content: a command says what is wrong, and keeps to its bounds."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.cases import KINDS
from tests.fuzz.ground import make_ground
from tests.fuzz.rule import run_case

EXAMPLES = {"spaces": 15, "options": 15, "files": 20, "readers": 150}


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "ground"
    make_ground(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_any_case_keeps_the_rule(kind, ground, tmp_path):
    folders = map(str, itertools.count())

    @settings(
        max_examples=EXAMPLES[kind],
        deadline=None,
        derandomize=True,  # the same ones each time; `python -m tests.fuzz` looks for new ones
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.randoms(use_true_random=False))
    def keeps_the_rule(rng):
        case = KINDS[kind](ground, rng)
        outcome = run_case(case, ground, tmp_path / next(folders))
        assert not outcome.broken, f"{outcome.broken}: {case}\n{outcome.output}"

    keeps_the_rule()
