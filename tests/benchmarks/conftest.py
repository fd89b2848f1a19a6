from __future__ import annotations

import pytest

from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _where_python_looks_first_when_it_runs_a_benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
