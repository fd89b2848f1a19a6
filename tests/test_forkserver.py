"""All processes of the tests come from one forkserver, which has loaded what takes time."""

from __future__ import annotations

import sys
from multiprocessing import forkserver

from tests.conftest import ROOT
from tests.forkserver import LOADED
from tests.nas import long_trainings
from tests.trials.processes import together


def missing(modules):
    return [name for name in modules if name not in sys.modules]


def test_processes_begin_with_all_that_any_of_them_wants():
    assert long_trainings.forkserver.get_start_method() == "forkserver"
    assert together(1, missing, LOADED) == [[]]
    assert forkserver._forkserver._preload_modules == LOADED


def test_nobody_else_says_what_it_loads():
    """There is one list: the last that is given would switch the others off."""
    says = [p for p in (ROOT / "tests").rglob("*.py") if "set_forkserver_preload" in p.read_text()]
    assert [p.name for p in says] == ["forkserver.py", "test_forkserver.py"]
