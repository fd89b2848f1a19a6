"""The notebook of the documentation runs from top to bottom."""

from __future__ import annotations

import json

import pytest

from tests.conftest import ROOT


@pytest.mark.ray
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    printed = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    assert "<Study notebook: 8 complete trials, in runs/notebook>" in printed
    assert "finished" in printed
    assert "application/vnd.plotly" in printed
    assert "torch.Size([1, 10])" in printed


def test_the_notebook_is_kept_without_outputs():
    notebook = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())
    assert not any(cell.get("outputs") for cell in notebook["cells"])
