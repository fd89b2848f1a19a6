"""A process that is killed leaves no folder for long."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from nas.network.scratch import scratch_folder

HOLDS = """
from nas.network.scratch import scratch_folder
with scratch_folder("nas-test-") as folder:
    (folder / "draft").write_text("half")
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_is_gone_at_the_end_and_after_an_error(temporary):
    with suppress(ZeroDivisionError), scratch_folder("nas-test-") as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o077 == 0, "others can look in"
        (folder / "draft").write_text("half")
        raise ZeroDivisionError
    assert names(temporary) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(temporary):
    with _holder() as dead, _holder() as alive:
        kept, left = (Path(holder.stdout.readline().strip()) for holder in (alive, dead))
        dead.kill()
        dead.wait()
        assert (left / "draft").exists()
        with scratch_folder("nas-test-") as own:
            assert names(temporary) == sorted(
                name for folder in (kept, own) for name in (folder.name, f"{folder.name}.lock")
            )
            assert (kept / "draft").exists()
        alive.communicate("\n")
    assert names(temporary) == []


def test_a_folder_of_another_kind_or_without_a_lock_stays(temporary):
    (temporary / "nas-test-mine").mkdir()
    (temporary / "other").mkdir()
    (temporary / "other.lock").touch()
    with scratch_folder("nas-test-"):
        pass
    assert names(temporary) == ["nas-test-mine", "other", "other.lock"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def _holder():
    return subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
