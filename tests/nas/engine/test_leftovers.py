"""A driver that was killed leaves processes and folders, which the next one ends and removes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nas.engine.leftovers import Started, clean_up, noted
from tests.conftest import ROOT
from tests.nas.planting import SEARCH, Planted, search

DRIVER = """
import subprocess, sys, time
from pathlib import Path
from nas.engine.leftovers import noted, with_children
left = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
folder = Path(sys.argv[1])
folder.mkdir()
with noted(with_children([left.pid]), [folder]):
    print(left.pid, flush=True)
    time.sleep(600)
"""


STARTS = """
import os, sys, time
from datetime import datetime
from pathlib import Path
from nas.engine.leftovers import Sessions, noted
with noted(sessions=Sessions.from_now_on(sys.argv[1])):
    name = f"session_{datetime.today():%Y-%m-%d_%H-%M-%S_%f}_{os.getpid()}"
    Path(sys.argv[1], name).mkdir()
    print(Path(sys.argv[1], name), flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def own_notes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def notes() -> list[Path]:
    return list(Path(os.environ["XDG_STATE_HOME"]).rglob("*.json"))


@contextmanager
def driver(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A driver, and a process that it has started."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    left = int(process.stdout.readline())
    try:
        yield process, left
    finally:
        process.kill()
        process.communicate()
        if runs(left):
            os.kill(left, signal.SIGKILL)


def runs(pid: int) -> bool:
    """Whether a process has not ended, though nobody may have asked how."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_a_killed_driver_left_is_ended_and_removed(tmp_path):
    folder = tmp_path / "nas-tune-x"
    with driver(folder) as (process, left):
        clean_up()  # it is alive
        assert runs(left)
        assert folder.exists()
        process.kill()
        process.wait()
        assert runs(left)
        clean_up()
        deadline = time.monotonic() + 10
        while runs(left) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not runs(left)
        assert not folder.exists()
        assert notes() == []


def test_a_search_that_has_nothing_left_to_run_cleans_up_too(tmp_path, monkeypatch):
    """As after a driver that was killed while it wrote the results: no Ray is started any more."""
    monkeypatch.chdir(tmp_path)
    assert search(monkeypatch, Planted(), text=SEARCH).exit_code == 0
    folder = tmp_path / "nas-tune-x"
    with driver(folder) as (process, _):
        process.kill()
        process.wait()
        assert search(monkeypatch, Planted(), text=SEARCH).exit_code == 0
    assert not folder.exists()


def test_a_session_that_ray_was_about_to_make_is_removed(tmp_path):
    """A driver that is killed while Ray starts has not heard of it yet; others' sessions stay."""
    earlier, other = tmp_path / "session_2020-01-01_00-00-00_000000_{}", tmp_path / "session_9_1"
    process = subprocess.Popen(
        [sys.executable, "-c", STARTS, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    earlier = Path(str(earlier).format(process.pid))
    earlier.mkdir()
    other.mkdir()
    made = Path(process.stdout.readline().strip())
    clean_up()
    assert made.is_dir()  # its driver lives
    process.kill()
    process.communicate()
    clean_up()
    assert sorted(tmp_path.glob("session_*")) == sorted([earlier, other])
    assert notes() == []


def test_a_process_that_was_given_the_same_number_is_left_alone(tmp_path):
    """As after a boot of the machine: numbers are given again."""
    folder = tmp_path / "nas-tune-x"
    with driver(folder) as (process, left):
        (file,) = notes()
        file.write_text(file.read_text().replace(Started.of(left).start, "an earlier boot 1"))
        process.kill()
        process.wait()
        clean_up()
        assert runs(left)
        assert not folder.exists()


def test_no_other_folder_is_removed_and_a_damaged_note_is_passed_over(tmp_path):
    folder = tmp_path / "pictures"
    with driver(folder) as (process, _):
        process.kill()
        process.wait()
        (notes()[0].parent / "1-x.json").write_text("[" * 1000)
        clean_up()
        assert folder.exists()
        assert [note.name for note in notes()] == ["1-x.json"]


def test_nothing_is_noted_any_more_where_nothing_is_left(tmp_path):
    folder = tmp_path / "session_x"
    folder.mkdir()
    with noted(folders=[folder]):
        assert len(notes()) == 1
        folder.rmdir()
    assert notes() == []
    with noted(folders=[tmp_path]):
        pass
    assert len(notes()) == 1  # it may be read until the next driver starts


def test_where_the_system_does_not_tell_of_processes_nothing_is_noted(tmp_path, monkeypatch):
    """As on macOS, which has no /proc: the search goes on."""

    def missing(_pid):
        raise FileNotFoundError("/proc/sys/kernel/random/boot_id")

    monkeypatch.setattr(Started, "of", missing)
    with noted(folders=[tmp_path]):
        pass
    assert notes() == []


class EndedInTheMiddle(Planted):
    """As workers that run out of memory, or of time, while they write."""

    def run(self, driver, data, test=None, keep_weights=True, judges=False):
        super().run(driver, data, test, keep_weights, judges)
        weights = Path("runs/planted/weights")
        for folder in (driver.outbox.folder, weights, Path("runs/planted")):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"3.json.{socket.gethostname()}.999999999.partial").touch()
        (driver.outbox.folder / "3.alive").write_text("training, batch 7")


def test_a_search_that_has_ended_leaves_nothing_of_workers_that_were_ended(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert search(monkeypatch, EndedInTheMiddle(), text=SEARCH).exit_code == 0
    left = [path for path in Path("runs").rglob("*") if path.suffix in (".partial", ".alive")]
    assert left == []
