"""A study's folder is claimed before its first trial: what would be lost is left alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest

from nas.engine.claimed_folder import claim_folder, held_folder
from nas.engine.lock import StudyLocked
from nas.space.errors import InputError
from nas.study.location import StudyPlace
from nas.study.storage_url import storage_url
from tests.conftest import ROOT
from tests.nas.planting import SEARCH, Planted, search
from trials import failpoint

FOLDER = Path("runs/tiny")
DATABASE = FOLDER / "study.db"
RESULTS = {"space.yaml": "name: tiny", "environment.json": "{}", "front.csv": "trial\n"}


def claim(folder: Path = FOLDER, storage: str | None = None) -> None:
    claim_folder(StudyPlace("tiny", folder, storage_url(storage, folder)))


@pytest.mark.parametrize("name", RESULTS)
def test_an_empty_database_beside_results_is_refused(name):
    FOLDER.mkdir(parents=True)
    DATABASE.touch()
    (FOLDER / name).write_text(RESULTS[name])
    with pytest.raises(InputError) as caught:
        claim()
    assert str(caught.value).splitlines() == [
        f"{DATABASE}: error: a database beside results has their trials; it is empty, beside {name}",
        "hint: restore it from a copy; or remove it, to search again over these results",
    ]
    DATABASE.unlink()
    claim()


def test_an_empty_database_without_results_is_begun():
    FOLDER.mkdir(parents=True)
    DATABASE.touch()
    claim()
    (FOLDER / "notes.txt").write_text("for later")
    claim()


def test_an_empty_database_elsewhere_is_begun():
    """The same space once more, into another database that was made for it."""
    FOLDER.mkdir(parents=True)
    (FOLDER / "space.yaml").write_text(RESULTS["space.yaml"])
    Path("elsewhere.db").touch()
    claim(storage="sqlite:///elsewhere.db")


@pytest.mark.parametrize("folder", ["file", "file/in/it"])
def test_a_file_is_no_folder(folder):
    Path("file").touch()
    message = f"{folder} is not a folder, or is in a file"
    with pytest.raises(InputError, match=f"^--output: error: {message}"):
        claim(Path(folder), "sqlite:///study.db")
    with pytest.raises(InputError, match=f"^--storage: error: {message}"):
        claim(storage=f"sqlite:///{folder}/study.db")


class Meanwhile:
    """In place of a fault: something else happens at a failpoint, once."""

    def __init__(self, name: str, act: Callable[[], object]) -> None:
        self.name, self.act = name, act
        self.result: object = None

    def pass_by(self, name: str) -> None:
        if name == self.name and self.result is None:
            self.result = True
            self.result = self.act()


def other_search(monkeypatch, *options: str):
    """Into the folder of study `planted`."""
    with monkeypatch.context() as of_its_own:
        into = ("--output", "runs/planted", *options)
        return search(of_its_own, Planted(), *into, text=SHORT)


SHORT = SEARCH.replace("{seeds: 6}", "none")
OTHER = ("--study", "other")
ELSEWHERE = ("--storage", "sqlite:///elsewhere.db")


@pytest.mark.parametrize("options", [OTHER, (*OTHER, *ELSEWHERE)], ids=["here", "elsewhere"])
def test_a_search_of_another_study_into_a_folder_that_is_searched_into_is_refused(
    monkeypatch, options
):
    """Before there are results, too: the space is written seconds after the lock was taken."""
    meanwhile = Meanwhile("tables.make", lambda: other_search(monkeypatch, *options))
    monkeypatch.setattr(failpoint, "_fault", meanwhile)
    planted = Planted()
    assert search(monkeypatch, planted, text=SHORT).exit_code == 0
    assert len(planted.trainings) == 10
    assert meanwhile.result.exit_code == 2
    assert meanwhile.result.stderr.splitlines() == [
        "--output: error: runs/planted has another search's results: study planted is being "
        f"searched by process {os.getpid()} on {os.uname().nodename}",
        "hint: name another folder",
    ]
    # It is refused when that search has ended, too, and the study is not.
    assert "holds study planted, not other" in other_search(monkeypatch, *options).stderr
    assert search(monkeypatch, Planted(), text=SHORT).exit_code == 0


@pytest.mark.parametrize("options", [(), ELSEWHERE], ids=["here", "elsewhere"])
def test_a_second_search_of_the_study_is_refused_by_its_name(monkeypatch, options):
    meanwhile = Meanwhile("tables.make", lambda: other_search(monkeypatch, *options))
    monkeypatch.setattr(failpoint, "_fault", meanwhile)
    assert search(monkeypatch, Planted(), text=SHORT).exit_code == 0
    assert meanwhile.result.exit_code == 2
    assert meanwhile.result.stderr.splitlines()[0] == (
        f"error: study planted is being searched by process {os.getpid()} on {os.uname().nodename}"
    )


def test_a_folder_that_became_anothers_before_it_was_locked_is_left_alone(monkeypatch):
    meanwhile = Meanwhile("search.begin", lambda: other_search(monkeypatch, *OTHER))
    monkeypatch.setattr(failpoint, "_fault", meanwhile)
    late = Planted()
    result = search(monkeypatch, late, text=SHORT)
    assert meanwhile.result.exit_code == 0
    assert result.exit_code == 2
    assert "--output: error: runs/planted holds study other, not planted" in result.stderr
    assert late.trainings == []


HOLD = """
import sys
from pathlib import Path
from nas.engine.claimed_folder import held_folder
from nas.study.location import StudyPlace
from nas.study.storage_url import storage_url

folder = Path(sys.argv[1])
with held_folder(StudyPlace("other", folder, storage_url(None, folder))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_driver_that_is_dead_holds_no_folder():
    FOLDER.mkdir(parents=True)
    place = StudyPlace("tiny", FOLDER, storage_url(None, FOLDER))
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(FOLDER)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"study other is .* process {first.pid} on "):
            held_folder(place).__enter__()
        first.send_signal(signal.SIGKILL)
        first.wait()
        with held_folder(place), pytest.raises(StudyLocked):
            held_folder(place).__enter__()
        with held_folder(place):  # it was given back
            pass
    finally:
        first.kill()
        first.communicate()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EROFS, errno.EACCES])
def test_a_folder_that_can_have_no_lock_is_searched_into_without(monkeypatch, number):
    """The database may be elsewhere: one beside the results has been refused already."""
    FOLDER.mkdir(parents=True)

    def no_lock(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.BaseFileLock, "acquire", no_lock)
    for _ in range(2):
        with held_folder(StudyPlace("tiny", FOLDER, storage_url(None, FOLDER))):
            assert not (FOLDER / ".search").exists()


def test_a_disk_that_is_full_leaves_the_folder_to_the_next(monkeypatch):
    FOLDER.mkdir(parents=True)
    place = StudyPlace("tiny", FOLDER, storage_url(None, FOLDER))
    with monkeypatch.context() as full:
        full.setattr(failpoint, "_fault", failpoint._fault_of("folder.taken:ENOSPC"))
        with pytest.raises(OSError, match=r"failpoint folder\.taken"):
            held_folder(place).__enter__()
    with held_folder(place):
        pass
