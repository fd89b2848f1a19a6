"""The report in a real browser that is not connected to anything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nas.reporting.figures import front_info, plot_front
from nas.reporting.page import render
from tests.nas.records import network, study, trial

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_network_of_the_point_under_the_pointer_is_drawn():
    from playwright.sync_api import sync_playwright

    networks = (network(width=8), network(width=16), network(width=20))
    records = study(*map(trial, range(3), (0.5, 0.7, 0.6), networks))  # the last one is dominated
    Path("report.html").write_text(render(records, {"front": plot_front(front_info(records))}, {}))
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1200, "height": 900}, offline=True)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(Path("report.html").resolve().as_uri())
        box = page.locator("#hovered")
        assert not box.is_visible()
        points = page.locator("#front .scatterlayer .trace:nth-child(2) .point")
        for index, width in enumerate((8, 16)):
            points.nth(index).scroll_into_view_if_needed()
            place = points.nth(index).bounding_box()
            page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
            drawn = box.locator("text", has_text=f"0: {width} channels")
            drawn.wait_for(timeout=10_000)
        page.mouse.move(2, 2)
        box.wait_for(state="hidden", timeout=10_000)
        browser.close()
    assert not errors
