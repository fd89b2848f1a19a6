"""What is read of a study's database where nothing can be written, and why nothing can be read."""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from sqlalchemy.engine import make_url

from nas.export import app as export_app
from nas.report import app as report_app
from nas.study.importances import parameter_importances
from nas.study.records import read_records
from nas.study.storage import NoStudy, opened_storage
from tests.conftest import ROOT
from tests.nas.commands import run
from trials.read_only import opens_read_only
from trials.store import sqlite_url


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 3)


def without_studies(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE other (id INTEGER)")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def of_another_name(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE studies SET study_name = 'large'")


DAMAGE = [
    (Path.unlink, "there is no database {file}"),
    (lambda file: os.truncate(file, 0), "the database {file} is empty: the file has no bytes"),
    (lambda file: os.truncate(file, 50), "the database {file} is damaged: "),
    (lambda file: file.write_text("garbage " * 999), "{file} is not an SQLite database"),
    (cut, "the database {file} is damaged: "),
    (a_folder, "{file} is a folder, not a database"),
    (without_studies, "the database has no studies"),
    (of_another_name, "the database has no study small; it has large"),
]


@pytest.mark.parametrize(
    ("damage", "said"),
    DAMAGE,
    ids=["missing", "empty", "header", "garbage", "cut", "folder", "no studies", "another"],
)
def test_why_a_database_cannot_be_read_is_said_in_a_line(study, tmp_path, damage, said):
    folder = tmp_path / "copy"
    shutil.copytree(study, folder)
    file = folder / "study.db"
    damage(file)
    there = set(folder.iterdir())
    wanted = said.format(file=file)
    for app in (report_app, export_app):
        output = run(app, "--study", folder, "--output", tmp_path / "out", status=2).output
        assert output.startswith(f"error: {wanted}")
        assert len(output.splitlines()) == 1
    with pytest.raises(NoStudy):
        parameter_importances(f"sqlite:///{file}", "small")
    assert not (tmp_path / "out").exists()
    assert set(folder.iterdir()) == there


@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_reading_writes_nothing_into_a_database_and_leaves_nothing_beside_it(study, tmp_path, mode):
    shutil.copytree(study, tmp_path / "copy")
    file, there = tmp_path / "copy" / "study.db", set((tmp_path / "copy").iterdir())
    file.chmod(mode)
    before = file.read_bytes(), file.stat().st_mtime_ns
    if mode == 0o644:
        run(report_app, "--study", file.parent, "--output", tmp_path / "out")
    else:
        skip_unless_permissions_hold(file)
        report = ("--study", file.parent, "--output", tmp_path / "out")
        written = with_permissions("-m", "nas.report", *report)
        assert written.returncode == 0, written.stderr
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    assert (tmp_path / "out" / "report.html").is_file()
    assert set(file.parent.iterdir()) == there


def test_a_reader_cannot_write_where_its_user_could(study, tmp_path):
    shutil.copytree(study, tmp_path / "copy")
    with opened_storage(f"sqlite:///{tmp_path / 'copy' / 'study.db'}") as storage:
        with pytest.raises(optuna.exceptions.StorageInternalError):
            storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "new")
        assert optuna.get_all_study_names(storage) == ["small"]


@pytest.fixture
def read_only_folder(study, tmp_path) -> Iterator[Path]:
    """A copy that nobody may write to."""
    folder = tmp_path / "copy"
    shutil.copytree(study, folder)
    (folder / "environment.json").write_text("{}")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    skip_unless_permissions_hold(folder / "study.db")
    yield folder
    folder.chmod(0o755)


def skip_unless_permissions_hold(file: Path) -> None:
    if with_permissions("-c", f"open({str(file)!r}, 'r+b')").returncode == 0:
        pytest.skip("permissions hold for no user of this machine that runs tests")


def with_permissions(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python as somebody whom permissions hold for: root goes without what overrides them."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        preexec_fn=_leave_overriding if os.getuid() == 0 else None,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _leave_overriding() -> None:
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def test_a_report_of_a_read_only_folder_is_written_elsewhere(read_only_folder, tmp_path):
    report = ("-m", "nas.report", "--study", read_only_folder)
    refused = with_permissions(*report)
    assert refused.returncode == 2, refused.stderr
    assert "cannot be written: Permission denied" in refused.stderr
    assert "hint: write the report into another folder with --output FOLDER" in refused.stderr
    out = tmp_path / "out"
    written = with_permissions(*report, "--output", out)
    assert written.returncode == 0, written.stderr
    assert written.stdout.split() == [str(out / "report.html")]
    assert {file.name for file in out.iterdir()} >= {"report.html", "front.csv"}
    environment = read_only_folder / "environment.json"
    environment.chmod(0o200)
    unreadable = with_permissions(*report, "--output", out)
    assert unreadable.returncode == 2
    assert unreadable.stderr.splitlines() == [
        f"{environment}: error: cannot be read: Permission denied",
        "hint: restore it, or remove it: the report is then without it",
    ]
    database = read_only_folder / "study.db"
    database.chmod(0o200)
    unreadable = with_permissions(*report, "--output", out)
    assert unreadable.returncode == 2
    said = f"error: the database {database} cannot be read: Permission denied"
    assert unreadable.stderr.splitlines() == [said]


@pytest.fixture
def killed(study, tmp_path) -> Path:
    """The folder of a driver that was killed: its last result, a name, is in the log alone."""
    shutil.copytree(study, tmp_path / "copy")
    file = tmp_path / "copy" / "study.db"
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("UPDATE studies SET study_name = 'large'")
        writer.commit()
        shutil.copytree(file.parent, tmp_path / "killed")
    return tmp_path / "killed"


def test_what_a_log_beside_the_database_has_is_never_left_out(killed):
    assert read_records(make_url(f"sqlite:///{killed / 'study.db'}"), "large").name == "large"


NAMES = """
import sys, optuna
from nas.study.storage import NoStudy, opened_storage
from trials.store import sqlite_url
try:
    with opened_storage(sqlite_url(sys.argv[1])) as storage:
        print(optuna.get_all_study_names(storage))
except NoStudy as error:
    print(error)
"""
"""What a user sees whom permissions hold for."""


def names_in(file: Path) -> str:
    seen = with_permissions("-c", NAMES, file)
    assert seen.returncode == 0, seen.stderr
    return seen.stdout.strip()


WAY_OUT = "cannot be read: its last results are in a file beside it, which is read where one can be written; copy the folder to such a place"


@pytest.mark.parametrize("index", ["there", "gone"])
def test_a_log_is_read_or_refused_where_nothing_can_be_written(killed, tmp_path, index):
    """By whichever path the database is named: there is no log beside a link."""
    file, link = killed / "study.db", tmp_path / "link.db"
    skip_unless_permissions_hold(protected(file))
    link.symlink_to(file)
    if index == "gone":
        Path(f"{file}-shm").unlink()
    killed.chmod(0o555)
    try:
        seen = [names_in(file), names_in(link)]
    finally:
        killed.chmod(0o755)
    refused = [f"the database {path} {WAY_OUT}" for path in (file, link)]
    assert seen == (refused if index == "gone" else ["['large']"] * 2)


def test_a_transaction_that_never_ended_is_not_read_as_if_it_had(study, tmp_path):
    shutil.copytree(study, tmp_path / "copy")
    folder, file = tmp_path / "killed", tmp_path / "copy" / "study.db"
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("PRAGMA journal_mode=DELETE")
        writer.execute("PRAGMA cache_size=1")  # pages are written before the end
        writer.execute("UPDATE studies SET study_name = 'half'")
        writer.execute("UPDATE trial_user_attributes SET value_json = value_json || ' '")
        shutil.copytree(file.parent, folder)
    skip_unless_permissions_hold(protected(folder / "study.db"))
    folder.chmod(0o555)
    try:
        seen = names_in(folder / "study.db")
    finally:
        folder.chmod(0o755)
    assert seen == f"the database {folder / 'study.db'} {WAY_OUT}"
    for path in folder.iterdir():
        path.chmod(0o644)
    assert names_in(folder / "study.db") == "['small']"


def protected(file: Path) -> Path:
    """A file that, with those beside it, nobody may write to."""
    for path in file.parent.glob("*.db*"):
        path.chmod(0o444)
    return file


@pytest.mark.parametrize("folder", [":runs", "file:runs"])
def test_a_path_that_looks_like_an_address_is_one_of_a_file(folder, study):
    shutil.copytree(study, folder)
    there = set(Path(folder).iterdir())
    url = sqlite_url(f"{folder}/study.db")
    assert read_records(url, "small").name == "small"
    assert opens_read_only(url) is not None
    assert set(Path(folder).iterdir()) == there
    with pytest.raises(NoStudy, match=f"there is no database {folder}/none.db"):
        read_records(sqlite_url(f"{folder}/none.db"), "small")
    assert set(Path(folder).iterdir()) == there
