"""`nas-latency`: what is printed, and what is written to a study."""

from __future__ import annotations

import csv
import io
import json

import pytest
from sqlalchemy.engine import make_url

from nas.engine import terminal
from nas.engine.lock import DriverLock
from nas.latency import app
from nas.network import latency
from nas.network.export import export_network
from nas.report import app as report_app
from nas.reporting.figures import latency_info, plot_latency
from nas.study.records import read_records
from tests.nas.commands import run
from tests.nas.exporting import SMALL, with_statistics
from trials.interleaved import Quartiles


@pytest.fixture
def quickly(monkeypatch):
    """One pass of each; the medians are 2, 3, 4, ... ms."""

    def once(contenders, _device, _on_round):
        for contender in contenders:
            contender.prepare()
            contender.run()
        return [Quartiles(1.0, 2.0 + i, 9.0) for i in range(len(contenders))]

    monkeypatch.setattr(latency, "time_interleaved", once)


@pytest.mark.usefixtures("quickly")
def test_folders_and_architectures_are_measured_side_by_side():
    export_network(SMALL, with_statistics(SMALL), "best")
    models = ("best", "best/architecture.json")
    options = ("--threads", "1,2", "--batch", 4)
    table = run(app, *models, *options).stdout.splitlines()
    assert [line.split()[:6] for line in table[1:]] == [
        [name, "eager", "channels_last", threads, "4", str(2 + i)]
        for i, (name, threads) in enumerate((name, t) for name in models for t in "12")
    ]
    rows = json.loads(run(app, *models, *options, "--as", "json").stdout)
    assert rows[1] == {
        "network": "best", "runtime": "eager", "threads": 2, "batch": 4, "layout": "channels_last",
        "first_ms": 1.0, "median_ms": 3.0, "third_ms": 9.0, "images_s": pytest.approx(4 / 3e-3),
    }  # fmt: skip
    cells = csv.DictReader(io.StringIO(run(app, *models, *options, "--as", "csv").stdout))
    assert [float(row["median_ms"]) for row in cells] == [2, 3, 4, 5]


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("columns", [50, 80])
def test_a_narrow_terminal_has_every_value(monkeypatch, columns):
    monkeypatch.setattr(terminal, "WIDTH", columns)
    shown = run(app, "mobilenet", "--threads", 12, "--batch", 2).stdout
    assert max(map(len, shown.splitlines())) <= columns
    for part in ("mobilenet", "eager", "channels_last", "12", "2", "1 to 9", "1,000"):
        assert part in shown


@pytest.mark.usefixtures("quickly")
def test_what_is_measured_of_a_study_is_in_its_report(study):
    url = f"sqlite:///{study / 'study.db'}"
    assert latency_info(read_records(url, "small")) is None
    for _ in range(2):  # the second time in place of the first
        run(app, "--study", study, "--front", "--batch", "1,4")
    records = read_records(url, "small")
    settings = latency_info(records).settings
    assert list(settings) == [
        "eager (channels last), 1 thread", "eager (channels last), 1 thread, batches of 4",
    ]  # fmt: skip
    for points in settings.values():
        assert sorted(point.trial for point in points) == sorted(t.number for t in records.front)
    ones, fours = settings.values()
    assert [point.median_ms for point in ones] == [2 + 2 * i for i in range(len(ones))]
    assert [point.median_ms for point in fours] == [(3 + 2 * i) / 4 for i in range(len(ones))]
    figure = plot_latency(latency_info(records))
    assert list(figure.data[0].x) == [point.macs for point in ones]
    marks = figure.layout.yaxis  # 0.25 to 9 ms
    assert list(marks.ticktext) == ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50"]
    assert list(marks.tickvals) == [float(text) for text in marks.ticktext]
    (study / "figures").mkdir(exist_ok=True)
    for name in ("confusion.png", "mine.png"):
        (study / "figures" / name).touch()
    run(report_app, "--study", study)
    left = [file.name for file in (study / "figures").iterdir()]
    assert left == ["mine.png"]  # no knee's confusion is known
    assert 'id="latency"' in (study / "report.html").read_text()


def test_a_study_that_is_being_searched_is_not_measured(study):
    with DriverLock(make_url(f"sqlite:///{study / 'study.db'}"), "small"):
        message = run(app, "--study", study, "--front", status=2).stderr
    assert "study small is being searched by process" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "MODEL: error: there is nothing to measure"),
        (["nowhere"], "nowhere: error: is no folder with a model.py"),
        (["nowhere.json"], "nowhere.json: error: cannot be read: No such file"),
        (["mobilenet", "--threads", "1,x"], "--threads: error: numbers from 1 to 4096"),
        (["mobilenet", "--batch", "0"], "--batch: error: numbers from 1 to 4096"),
        (["mobilenet", "--runtime", "tflite"], "--runtime: error: there is no 'tflite'"),
        (["mobilenet", "--layout", "nhwc"], "--layout: error: there is no 'nhwc'"),
        (["mobilenet", "--front"], "--front: error: whose front?"),
    ],
)
def test_what_cannot_be_measured_is_named(arguments, message):
    assert message in run(app, *arguments, status=2).stderr
