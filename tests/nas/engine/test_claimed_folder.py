"""A study's folder is claimed before its first trial: what would be lost is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.engine.search import claim_folder
from nas.space.errors import InputError
from nas.study.location import StudyPlace
from nas.study.storage_url import storage_url

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
