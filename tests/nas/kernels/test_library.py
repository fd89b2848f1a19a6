from __future__ import annotations

import shutil
import subprocess

import pytest

from nas.kernels import library as compiled
from nas.kernels.digest import digest_of
from nas.kernels.library import FOLDER, LEVELS, best_level, library

needs_kernels = pytest.mark.skipif(best_level() is None, reason="no kernels were compiled")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder with the same sources and kernels."""
    for cached in (library, best_level, compiled._compiled):
        cached.cache_clear()
    for path in FOLDER.iterdir():
        if path.name == "source":
            shutil.copytree(path, tmp_path / "source")
        elif path.suffix == ".so":
            shutil.copy(path, tmp_path)
    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    yield tmp_path
    for cached in (library, best_level, compiled._compiled):
        cached.cache_clear()


@needs_kernels
@pytest.mark.usefixtures("elsewhere")
def test_kernels_name_their_level_and_sources():
    assert library().name == f"{best_level()} {digest_of(FOLDER / 'source')}"
    assert library("baseline").name.startswith("baseline ")


@needs_kernels
def test_kernels_of_other_sources_are_not_loaded(elsewhere):
    with (elsewhere / "source" / "vector.h").open("a") as file:
        file.write("/* changed */\n")
    assert best_level() is None
    assert library() is None


@needs_kernels
def test_an_installed_package_has_no_sources(elsewhere):
    shutil.rmtree(elsewhere / "source")
    assert best_level() in LEVELS


@needs_kernels
def test_kernels_of_another_python_are_not_loaded(elsewhere):
    for file in elsewhere.glob("*.so"):
        file.rename(elsewhere / f"{file.name.split('.')[0]}.cpython-310-x86_64-linux-gnu.so")
    assert best_level() is None


@needs_kernels
@pytest.mark.usefixtures("elsewhere")
def test_the_best_level_is_one_that_the_processor_has(monkeypatch):
    monkeypatch.setattr(compiled, "_runs_here", lambda level: level == "baseline")
    assert best_level() == "baseline"
    assert library("avx512") is None


@needs_kernels
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_a_file_without_kernels_is_no_kernels(elsewhere):
    """As those that were compiled before their sources had a digest."""
    name = next(elsewhere.glob("_baseline*.so")).name
    source = elsewhere / "empty.c"
    source.write_text("int has_level(const char *level) { return level != 0; }\n")
    (elsewhere / name).unlink()
    subprocess.run(["gcc", "-shared", "-o", elsewhere / name, source], check=True)
    assert best_level() is None
