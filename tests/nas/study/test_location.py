"""Where a study's database is, and what of its address may be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.study.location import shown_url, storage_url


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ("postgres:hunter2@", ""),
        ("postgres:no%20hunter2 no@", ""),
        ("", "?user=postgres&password=hunter2"),
        ("", "?user=postgres&pass%77ord=no hunter2"),
    ],
)
@pytest.mark.parametrize("place", ["--storage", "NAS_STORAGE"])
def test_a_password_is_not_shown_however_it_is_given(monkeypatch, place, address, query):
    text = f"postgresql://{address}db.example/studies{query}"
    if place == "NAS_STORAGE":
        monkeypatch.setenv("NAS_STORAGE", text)
    url = storage_url(text if place == "--storage" else None, Path("runs"))
    assert "hunter2" in url.render_as_string(hide_password=False).replace("+", " ")
    assert "hunter2" not in shown_url(url)
    assert shown_url(url).startswith("postgresql+psycopg://")
    assert "db.example/studies" in shown_url(url)
