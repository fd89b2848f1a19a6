"""Latencies in a database: none before there are some, and one for each setting."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from trials.timings import Timing, add_timings, read_timings

TIMING = Timing("0123456789abcdef", "a processor", "onnx", 2, 1, "", 1.0, 2.0, 3.0)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_later_one_of_the_same_setting_takes_the_place_of_the_earlier(backend, request):
    address = "sqlite:///study.db"
    url = make_url(address if backend == "sqlite" else request.getfixturevalue("postgresql"))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    assert read_timings(engine) == ()
    elsewhere = replace(TIMING, device="another")
    add_timings(url, [TIMING, elsewhere])
    assert read_timings(engine) == (TIMING, elsewhere)
    add_timings(url, [again := replace(TIMING, median_ms=2.5)])
    assert read_timings(engine) == (again, elsewhere)
