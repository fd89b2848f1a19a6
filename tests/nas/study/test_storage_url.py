"""The address of a study's database: what is accepted, what is shown, and which file it is."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import optuna
import pytest
from optuna_dashboard._storage_url import get_storage  # what the command calls

from nas.space.errors import InputError
from nas.study.storage import open_storage
from nas.study.storage_url import shown_url, storage_url
from trials.store import Store


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ("postgres:hunter2@", ""),
        ("postgres:no%20hunter2 no@", ""),
        ("", "?user=postgres&password=hunter2"),
        ("", "?user=postgres&pass%77ord=no hunter2"),
    ],
)
@pytest.mark.parametrize("place", ["--storage", "NAS_STORAGE"])
def test_a_password_is_not_shown_however_it_is_given(monkeypatch, place, address, query):
    text = f"postgresql://{address}db.example/studies{query}"
    if place == "NAS_STORAGE":
        monkeypatch.setenv("NAS_STORAGE", text)
    url = storage_url(text if place == "--storage" else None, Path("runs"))
    assert "hunter2" in url.render_as_string(hide_password=False).replace("+", " ")
    assert "hunter2" not in shown_url(url)
    assert shown_url(url).startswith("postgresql+psycopg://")
    assert "db.example/studies" in shown_url(url)


NAMES = [
    "a",
    "a?b=c",
    "a%41b",
    "?",
    "#",
    "a b",
    "é",
    "{a}",
    "a@b:c",
    "file:a",
    "'$a'",
    "a\nb",
    "a&b;c",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_database_is_in_the_folder_whatever_its_name(name):
    """For this project, for Optuna, and for its dashboard by the line that is printed."""
    folder = Path("results", name)
    folder.mkdir(parents=True)
    url = storage_url(None, folder)
    storage = open_storage(url, create=True)
    optuna.create_study(study_name="one", storage=storage)
    storage.engine.dispose()
    Store(url).close()
    assert list(Path().rglob("*.db")) == [folder / "study.db"]
    line = shlex.join(["printf", "%s", shown_url(url)])
    argument = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    shown = get_storage(argument)
    assert [study.study_name for study in shown.get_all_studies()] == ["one"]
    shown.engine.dispose()


@pytest.mark.parametrize("name", ["a\udcffb", "a\0b"])
@pytest.mark.parametrize("storage", [None, "sqlite:///x.db"])
def test_a_folder_whose_name_is_no_text_is_refused(name, storage):
    with pytest.raises(
        InputError, match=r"^--output: error: the name of a study's folder is UTF-8"
    ):
        storage_url(storage, Path(name))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("sqlite:///.", "not a file"),
        ("sqlite:////", "not a file"),
        ("sqlite:///folder", "not a file"),
        ("sqlite:///new/", "not a file"),
        ("sqlite:////dev/null", "not a file"),
        ("sqlite:///:memory:", "not a database that a study can be kept in"),
        ("sqlite://", "not a database that a study can be kept in"),
        ("sqlite://x.db", "a database in a file has no host"),
        ("sqlite://me:hunter2@host/x.db", "a database in a file has no host"),
        ("sqlite:///x.db?timeout=abc", "a database in a file takes no options"),
        ("sqlite:///x.db?mode=ro", "a database in a file takes no options"),
        ("sqlite:///file:x.db?uri=true", "a database in a file takes no options"),
        ("sqlite:///file:x.db", "a file is named by its path, without file:"),
        ("sqlite+aiosqlite:///x.db", "not a database that a study can be kept in"),
        ("sqlite+pysqlcipher://:hunter2@/x.db", "not a database that a study can be kept in"),
        ("postgresql+asyncpg://db/x", "not a database that a study can be kept in"),
        ("mysql://me:hunter2@db/x", "not a database that a study can be kept in"),
        ("sqlite:///a\0b", "a database URL is UTF-8 without control characters"),
        ("sqlite:///a\udcffb", "a database URL is UTF-8 without control characters"),
        ("sqlite:///a\nb", "a database URL is UTF-8 without control characters"),
        ("sqlite:///a%00b", "a database URL has no %00"),
        ("postgresql://me:a%00b@db/x", "a database URL has no %00"),
        ("host=db password=hunter2", "not a database URL"),
        ("sqlite:x.db", "not a database URL"),
        ("postgresql://db:port/x", "not a database URL"),
        ("postgresql://me:hunter2/x", "not a database URL"),
        ("postgresql://{db}/x", "not the name of a host"),
        ("postgresql://me:a@hunter2@db/x", "a database URL has one @"),
        ("postgresql://m/e:hunter2@db/x", "a database URL has one @"),
        ("postgresql:///me:hunter2@db/x", "a database URL has one @"),
        ("postgresql://db:5432/x?password=a@hunter2", "a database URL has one @"),
        ("postgresql://db/x?autocommit=1", "PostgreSQL has no option autocommit"),
        ("postgresql://db/x?row_factory=a&password=hunter2", "PostgreSQL has no option row_factory"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["--storage", "NAS_STORAGE"])
def test_what_is_no_address_of_a_database_is_refused_with_what_would_be(
    monkeypatch, place, text, rule
):
    Path("folder").mkdir()
    if place == "NAS_STORAGE":
        if "\0" in text:
            return  # there is none in an environment
        monkeypatch.setenv("NAS_STORAGE", text)
    with pytest.raises(InputError) as refused:
        storage_url(text if place == "--storage" else None, Path("runs"))
    (problem,) = refused.value.problems
    assert str(refused.value).startswith(f"{place}: error: {rule}")
    assert "sqlite:///FILE" in problem.hint or "%40" in problem.hint
    assert "hunter2" not in str(refused.value)
    assert str(refused.value).count("\n") == 1  # the hint's


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///x.db",
        "sqlite:////tmp/a%3Fb.db",
        "sqlite+pysqlite:///new/x.db",
        "postgresql://db",
        "postgresql+psycopg2://me:a%40b@[::1]:5432/x?sslmode=require&options=-c%20a",
        "postgresql:///x?host=a:1&host=b:2&application_name=a%40b",
    ],
)
def test_what_is_accepted(text):
    assert storage_url(text, Path("runs")).drivername in ("sqlite", "postgresql+psycopg")
