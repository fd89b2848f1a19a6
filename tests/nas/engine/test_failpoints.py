"""What a failpoint is for: an ordinary search passes each of them."""

from __future__ import annotations

from collections import Counter

from nas.engine.ray_worker import Job, TrialActor
from tests.nas.planting import SEARCH, Planted, search
from trials import failpoint
from trials.failpoint import NAMES


class Passed(Counter):
    """Counts, in place of a fault."""

    def pass_by(self, name: str) -> None:
        self[name] += 1


class ByWorkers(Planted):
    """What a worker does for a trial is done here, without Ray."""

    def run(self, driver, data, test=None, keep_weights=True):
        while (spec := driver.next()) is not None:
            measurements = self.measurements(driver, spec, test)
            worker = TrialActor.__new__(TrialActor)
            worker.job = Job(
                "",
                frozenset(),
                driver.outbox.folder,
                None,
                1,
                0,
                run=lambda *_, m=measurements, **__: m,
            )
            worker.config, worker.data = {"spec": spec}, None
            worker.step()
            driver.record(spec.trial, measurements)


def test_an_ordinary_search_passes_all_of_them(monkeypatch):
    passed = Passed()
    monkeypatch.setattr(failpoint, "_fault", passed)
    result = search(monkeypatch, ByWorkers(), text=SEARCH, results=True)
    assert result.exit_code == 0, result.stderr
    assert set(passed) == NAMES.keys()
    assert passed["outbox.put"] == passed["outbox.discard"] == passed["trial.handed_out"] > 10
