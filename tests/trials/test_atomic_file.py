"""A file is whole or as it was; what a killed writer left under another name can be removed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

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
