"""Who may import whom (section 2 of the design), read from the sources and from a fresh Python."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCES = [*(ROOT / "nas").rglob("*.py"), *(ROOT / "trials").rglob("*.py")]


def imported(file: Path) -> set[str]:
    """Names of all modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def importers(package: str) -> set[str]:
    return {
        str(file.relative_to(ROOT))
        for file in SOURCES
        if any(name.split(".")[0] == package for name in imported(file))
    }


def test_trials_never_imports_nas():
    assert not [file for file in importers("nas") if file.startswith("trials/")]


def test_one_file_imports_ray():
    assert importers("ray") == {"nas/engine/ray_tune.py"}


def test_optuna_is_imported_by_the_study_and_the_dashboard_alone():
    others = {file for file in importers("optuna") if not file.startswith(("nas/study/", "nas/engine/"))}
    assert others == {"nas/dashboard.py"}


def test_plotly_is_imported_where_figures_are_made_and_shown():
    others = {file for file in importers("plotly") if not file.startswith("nas/figures/")}
    assert others == {"nas/report.py", "nas/dashboard.py"}


def test_architectures_need_the_standard_library_alone():
    allowed = set(sys.stdlib_module_names) | {"nas"}
    for name in ("specification", "serialization", "layers"):
        file = ROOT / "nas" / "architecture" / f"{name}.py"
        roots = {module.split(".")[0] for module in imported(file)}
        assert roots <= allowed, name


def test_exported_layers_need_pytorch_alone():
    roots = {module.split(".")[0] for module in imported(ROOT / "nas/network/exported_layers.py")}
    assert roots == {"__future__", "torch"}


@pytest.mark.parametrize("module", ["nas", "nas.architecture", "trials", "trials.train"])
def test_a_fresh_import_loads_neither_ray_nor_optuna_nor_plotly(module):
    program = (
        f"import {module}, sys; "
        "print({'ray', 'optuna', 'plotly', 'sklearn', 'datasets'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "set()\n"


def test_the_public_names_are_there():
    import nas

    for name in nas.__all__:
        assert getattr(nas, name) is not None
    assert {
        "load_space",
        "preset",
        "build_network",
        "count_cost",
        "match_macs",
        "pareto_front",
        "export_network",
    } <= set(nas.__all__)
