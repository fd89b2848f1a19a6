from __future__ import annotations

import pytest

from nas.engine.stage import StageRunner
from tests.nas.driving import measured


@pytest.fixture
def without_ray(monkeypatch):
    """Trials are handed out and recorded as ever, but nothing is trained."""

    def run(runner, driver, *_, **__):
        driver.listener = runner._progress(driver)
        while (spec := driver.next()) is not None:
            driver.record(spec.trial, measured(driver, spec))

    monkeypatch.setattr(StageRunner, "run", run)
    monkeypatch.setattr("nas.api.run_search._write_results", lambda *_: None)
