"""`optuna-dashboard` over a study: the real server, its API, and its page in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from nas.architecture.text_drawing import draw_as_text
from nas.engine.fence import Fence
from nas.reporting.dashboard import publish
from nas.reporting.figures import study_figures
from nas.study.importances import parameter_importances
from nas.study.records import read_records

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def dashboard(study):
    """Address of a dashboard that shows the study as the search leaves it."""
    url = f"sqlite:///{study / 'study.db'}"
    records = read_records(url, "small")
    figures = study_figures(records, parameter_importances(url, "small"))
    engine = sa.create_engine(url)
    fence = Fence.claimed(engine, "small")
    engine.dispose()
    for drawn in (figures | {"confusion": figures["front"]}, figures):  # notes stay as they are
        publish(make_url(url), records, drawn, fence)
    port = free_port()
    program = Path(sys.executable).with_name("optuna-dashboard")
    server = subprocess.Popen(
        [program, url, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            assert server.poll() is None, "the dashboard ended"
            try:
                urllib.request.urlopen(f"{address}/api/meta")
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def get(address: str) -> dict:
    with urllib.request.urlopen(address) as response:
        return json.load(response)


def test_the_dashboards_api_shows_the_whole_study(dashboard, study):
    records = read_records(f"sqlite:///{study / 'study.db'}", "small")
    summary = get(f"{dashboard}/api/studies")["study_summaries"]
    assert [s["study_name"] for s in summary] == ["small"]
    detail = get(f"{dashboard}/api/studies/{summary[0]['study_id']}?after=0")
    assert detail["directions"] == ["maximize", "minimize"]
    assert detail["objective_names"] == ["accuracy", "macs"]
    assert f"{len(records.complete)} complete trials" in detail["note"]["body"]
    assert {figure["graph_object_id"] if "graph_object_id" in figure else figure["id"] for figure in detail["plotly_graph_objects"]} == {
        "front", "hypervolume", "segments", "importance", "curves",
    }  # fmt: skip
    best = {trial["number"] for trial in detail["best_trials"]}
    assert best >= {trial.number for trial in records.front}
    for shown, record in zip(detail["trials"], records.trials, strict=True):
        attrs = {attr["key"]: attr["value"] for attr in shown["user_attrs"]}
        architecture = json.loads(attrs["architecture"])
        architecture = json.loads(architecture) if isinstance(architecture, str) else architecture
        assert architecture["classes"] == 4  # whole, not cut off
        curve = json.loads(attrs["curve"])
        curve = json.loads(curve) if isinstance(curve, str) else curve
        assert tuple(curve) == record.curve
        assert [float(value) for value in shown["values"]] == list(record.values)
        steps = {value["step"]: value["value"] for value in shown["intermediate_values"]}
        assert steps == dict(enumerate(record.curve, 1))
        assert draw_as_text(record.architecture) in shown["note"]["body"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_dashboards_page_opens_in_a_browser(dashboard, tmp_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking", "--disable-quic"],
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{dashboard}/dashboard/studies/1", wait_until="networkidle")
        page.get_by_text("Pareto").first.wait_for(timeout=30_000)
        picture = Path(os.environ.get("NAS_SCREENSHOTS", tmp_path)) / "dashboard.png"
        page.screenshot(path=picture)
        browser.close()
    assert not errors
    assert picture.stat().st_size > 20_000
