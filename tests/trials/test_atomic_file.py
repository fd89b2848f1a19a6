"""A file is whole or as it was; what a killed writer left under another name can be removed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from trials.atomic_file import atomic_write_text, remove_partial
from trials.failpoint import VARIABLE

WRITES = (
    "from pathlib import Path; from trials.atomic_file import atomic_write_text as w; "
    "w(Path('file.txt'), 'new')"
)


@pytest.mark.parametrize("moment", ["file.begun", "file.replace", "file.replaced"])
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path, moment):
    atomic_write_text(tmp_path / "file.txt", "old")
    environment = os.environ | {VARIABLE: f"{moment}:kill", "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", WRITES], env=environment, check=False)
    assert run.returncode == -signal.SIGKILL
    assert (tmp_path / "file.txt").read_text() == ("new" if moment == "file.replaced" else "old")
    assert len(list(tmp_path.iterdir())) == (1 if moment == "file.replaced" else 2)
    remove_partial(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_what_another_process_may_still_write_is_not_removed(tmp_path):
    ours = tmp_path / f"a.{socket.gethostname()}.{os.getppid()}.partial"
    elsewhere = tmp_path / f"a.not-{socket.gethostname()}.999999999.partial"
    other = tmp_path / "a.partial"
    dead = tmp_path / f"a.{socket.gethostname()}.999999999.partial"
    for file in (ours, elsewhere, other, dead):
        file.touch()
    remove_partial(tmp_path)
    assert set(tmp_path.iterdir()) == {ours, elsewhere, other}


def test_a_writer_that_lives_keeps_its_file_where_the_system_has_no_files_of_processes(
    tmp_path, monkeypatch
):
    """As on macOS. One that has died is removed before anybody has asked how it ended."""
    living = tmp_path / f"a.{socket.gethostname()}.{os.getppid()}.partial"
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    ended = tmp_path / f"a.{socket.gethostname()}.{child.pid}.partial"
    for file in (living, ended):
        file.touch()
    with monkeypatch.context() as without:
        without.setattr(Path, "exists", lambda _: False)
        remove_partial(tmp_path)
    child.wait()
    assert set(tmp_path.iterdir()) == {living}


def test_a_writer_of_another_user_keeps_its_file(tmp_path, monkeypatch):
    def refused(pid):
        raise psutil.AccessDenied(pid)

    file = tmp_path / f"a.{socket.gethostname()}.1.partial"
    file.touch()
    monkeypatch.setattr(psutil, "Process", refused)
    remove_partial(tmp_path)
    assert file.exists()
