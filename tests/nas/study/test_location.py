"""Where a study's database is, and what of its address may be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.space.errors import InputError
from nas.study.location import locate_study, shown_url, storage_url


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


def test_a_study_is_found_beside_a_folder_of_its_name_with_something_else():
    """Such as the pictures that it was searched on."""
    Path("birds/train").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no study in birds\b"):
        locate_study("birds", None)
    Path("runs/birds").mkdir(parents=True)
    Path("runs/birds/space.yaml").write_text("name: birds\n")
    assert locate_study("birds", None).folder == Path("runs/birds")
    Path("birds/space.yaml").write_text("name: others\n")
    assert locate_study("birds", None).name == "others"
