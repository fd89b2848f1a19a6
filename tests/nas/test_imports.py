"""Who may import whom, and how long files are, read from the sources and from a fresh Python."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

MAY_IMPORT = {
    "trials": set(),
    "nas.statistics": set(),
    "nas.architecture": {"trials"},
    "nas.kernels": {"nas.architecture", "trials"},
    "nas.network": {"nas.kernels", "nas.architecture", "trials"},
    "nas.space": {"nas.architecture", "nas.network", "trials"},
    "nas.study": {
        *("nas.space", "nas.network", "nas.kernels", "nas.architecture", "nas.statistics"),
        "trials",
    },
    "nas.analysis": {"nas.study", "nas.space", "nas.architecture", "nas.statistics", "trials"},
}
_STUDIES = {"nas.study", *MAY_IMPORT["nas.study"]}
MAY_IMPORT |= {
    "nas.engine": _STUDIES,
    "nas.reporting": {"nas.engine", "nas.analysis", *_STUDIES},
    "nas.api": {"nas.reporting", "nas.engine", "nas.analysis", *_STUDIES},
}
"""Folders of the library, in the order in which data flows; commands may import all of them."""

SOURCES = [*(ROOT / "nas").rglob("*.py"), *(ROOT / "trials").rglob("*.py")]
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def imported(file: Path, for_types: bool = True) -> set[str]:
    """Names of all modules that a file imports, wherever in it.

    Without `for_types` those are left out that only a type checker imports.
    """
    nodes = list(ast.walk(ast.parse(file.read_text())))
    typing = [
        node
        for node in nodes
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    left_out = set() if for_types else {inner for node in typing for inner in node.body}
    names = set()
    for node in nodes:
        if node in left_out:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def folder_of(module: str) -> str:
    """``nas.study`` of ``nas.study.plan``; ``trials`` of all in it; ``nas`` of a command."""
    parts = module.split(".")
    if parts[0] == "trials":
        return "trials"
    return ".".join(parts[:2]) if (ROOT / "/".join(parts[:2])).is_dir() else "nas"


def sources_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder.replace(".", "/")).rglob("*.py"))


def importers(package: str) -> set[str]:
    return {
        str(file.relative_to(ROOT))
        for file in SOURCES
        if any(name.split(".")[0] == package for name in imported(file, for_types=False))
    }


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_arrows_run_one_way(folder):
    assert sources_of(folder)
    for file in sources_of(folder):
        ours = {name for name in imported(file) if name.split(".")[0] in ("nas", "trials")}
        others = {folder_of(name) for name in ours} - {folder}
        assert others <= MAY_IMPORT[folder], file


def test_every_folder_is_in_the_table_and_every_file_beside_them_is_a_command():
    folders = {f"nas.{path.name}" for path in (ROOT / "nas").iterdir() if list(path.glob("*.py"))}
    assert folders | {"trials"} == set(MAY_IMPORT)
    for file in (ROOT / "nas").glob("*.py"):
        if file.name not in ("__init__.py", "cli.py"):
            assert 'if __name__ == "__main__":' in file.read_text(), file


def test_files_and_functions_are_short():
    assert BENCHMARKS
    for file in (*SOURCES, *BENCHMARKS, *TESTS):
        assert len(file.read_text().splitlines()) <= 350, file
    for file in (*SOURCES, *BENCHMARKS):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < 40, f"{file}: {node.name}"


def test_ray_is_imported_by_its_machines_its_workers_and_what_spreads_work_over_them():
    names = ("ray_nodes", "ray_train", "ray_tune", "ray_worker")
    assert importers("ray") == {f"nas/engine/{name}.py" for name in names}


def test_optuna_is_imported_by_the_study_its_engine_and_the_dashboard_alone():
    others = {
        file for file in importers("optuna") if not file.startswith(("nas/study/", "nas/engine/"))
    }
    assert others == {"nas/reporting/dashboard.py"}


def test_plotly_is_imported_where_figures_are_made_and_shown():
    others = {file for file in importers("plotly") if not file.startswith("nas/reporting/figures/")}
    shown = ("budgets_page", "dashboard", "page")
    assert others == {f"nas/reporting/{name}.py" for name in shown}


def test_keras_files_are_read_without_keras():
    assert importers("h5py") == {f"nas/network/keras_{name}.py" for name in ("files", "writing")}
    assert importers("keras") == set()


def test_architectures_need_the_standard_library_alone():
    reader = ROOT / "trials/bounded_json.py"
    for file in (*sources_of("nas.architecture"), reader):
        found = imported(file, for_types=False) - {"trials.bounded_json"}
        ours = {module for module in found if module.startswith("nas.")}
        allowed = set(sys.stdlib_module_names) | ({"pydantic"} if file == reader else set())
        assert {module.split(".")[0] for module in found - ours} <= allowed, file


def test_statistics_know_nothing_of_studies():
    allowed = set(sys.stdlib_module_names) | {"nas", "numpy", "scipy", "moocore"}
    for file in sources_of("nas.statistics"):
        assert {module.split(".")[0] for module in imported(file)} <= allowed, file


def test_exported_layers_need_pytorch_alone():
    file = ROOT / "nas/network/exported_layers.py"
    assert {module.split(".")[0] for module in imported(file)} == {"__future__", "torch"}


def loaded(statement: str) -> set[str]:
    """Heavy packages that a fresh Python has loaded after a statement."""
    program = (
        f"{statement}; import sys; print(*({{'torch', 'ray', 'optuna', 'plotly', 'pydantic', "
        "'sklearn', 'datasets', 'scipy', 'sqlalchemy'} & set(sys.modules)))"
    ).replace("{{", "{")
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "module", ["nas", "nas.architecture", "nas.architecture.presets", "trials"]
)
def test_a_fresh_import_costs_nothing(module):
    assert loaded(f"import {module}") == set()


def test_an_architecture_is_counted_without_pytorch():
    assert loaded("import nas; nas.count_cost(nas.preset('xception'))") == set()


def test_training_loads_neither_ray_nor_optuna_nor_plotly():
    assert not loaded("import trials.train") & {"ray", "optuna", "plotly", "sklearn", "datasets"}


def test_what_a_worker_loads_is_pytorch_and_ray():
    """Each of the others would add a tenth to half a second to each worker's start."""
    assert loaded("import nas.engine.ray_worker") - loaded("import ray.tune") == {"torch"}


def test_the_public_names_are_there():
    import nas

    for name in nas.__all__:
        assert getattr(nas, name) is not None
    assert set(nas.__all__) <= set(dir(nas))
    assert {
        "load_space",
        "preset",
        "build_network",
        "count_cost",
        "match_macs",
        "pareto_front",
        "export_network",
    } <= set(nas.__all__)


def test_a_name_that_is_not_there_is_said_as_python_says_it():
    import nas

    with pytest.raises(AttributeError, match="module 'nas' has no attribute 'nothing'"):
        _ = nas.nothing
