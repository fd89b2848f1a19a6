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

import pytest
from sqlalchemy.engine import make_url

from nas.export import app as export_app
from nas.report import app as report_app
from nas.study.importances import parameter_importances
from nas.study.records import read_records
from nas.study.storage import NoStudy
from tests.conftest import ROOT
from tests.nas.commands import run


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
    assert {path for path in folder.iterdir() if path.suffix[:4] != ".db-"} == there


def test_reading_writes_nothing_into_a_database(study, tmp_path):
    shutil.copytree(study, tmp_path / "copy")
    file = tmp_path / "copy" / "study.db"
    file.chmod(0o444)
    before = file.read_bytes(), file.stat().st_mtime_ns
    run(report_app, "--study", file.parent, "--output", tmp_path / "out")
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    assert (tmp_path / "out" / "report.html").is_file()
    assert not (tmp_path / "copy" / "report.html").exists()


@pytest.fixture
def read_only_folder(study, tmp_path) -> Iterator[Path]:
    """A copy that nobody may write to."""
    folder = tmp_path / "copy"
    shutil.copytree(study, folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    touched = with_permissions("-c", f"open({str(folder / 'new')!r}, 'w')")
    if touched.returncode == 0:
        pytest.skip("permissions hold for no user of this machine that runs tests")
    yield folder
    folder.chmod(0o755)


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
    database = read_only_folder / "study.db"
    database.chmod(0o200)
    unreadable = with_permissions(*report, "--output", out)
    assert unreadable.returncode == 2
    said = f"error: the database {database} cannot be read: Permission denied"
    assert unreadable.stderr.splitlines() == [said]


def test_what_a_log_beside_the_database_has_is_never_left_out(study, tmp_path):
    """A driver that was killed leaves its last results there."""
    shutil.copytree(study, tmp_path / "copy")
    file = tmp_path / "copy" / "study.db"
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("UPDATE studies SET study_name = 'large'")
        writer.commit()
        shutil.copytree(file.parent, tmp_path / "killed")
    killed = make_url(f"sqlite:///{tmp_path / 'killed' / 'study.db'}")
    assert read_records(killed, "large").name == "large"
