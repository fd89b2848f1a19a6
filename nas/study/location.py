"""Where a study is: its name, its folder and its database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from nas.space.errors import InputError, Problem
from nas.space.shown_text import shown_address
from nas.space.yaml_document import read_yaml

STORAGE_VARIABLE = "NAS_STORAGE"
RUNS = Path("runs")


def storage_url(storage: str | None, output: Path) -> URL:
    """The database of a study: as given, from the environment, or SQLite in its folder.

    Raises:
        InputError: not a URL of SQLite or PostgreSQL.
    """
    source = "--storage" if storage else STORAGE_VARIABLE
    text = storage or os.environ.get(STORAGE_VARIABLE)
    if not text:
        return make_url(f"sqlite:///{output / 'study.db'}")
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise InputError.of(source, "not a database URL", _STORAGE_HINT) from None
    if "@" in (url.host or ""):
        raise InputError.of(source, "a database URL has one @", "an @ in a password is %40")
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        return url
    raise InputError.of(
        source, f"not a database that a study can be kept in: {shown_url(url)}", _STORAGE_HINT
    )


def shown_url(url: URL) -> str:
    """A database URL without its password, which may be among the options, too."""
    return shown_address(url.render_as_string(hide_password=True))


@dataclass(frozen=True)
class StudyPlace:
    """Where a study is."""

    name: str
    folder: Path
    url: URL


def locate_study(study: str, storage: str | None) -> StudyPlace:
    """Find a study by its name under ``runs``, or by its folder.

    Raises:
        InputError: neither is there, or its file does not say how it is called.
    """
    folders = Path(study), RUNS / study  # a folder of that name may have something else
    folder = next((path for path in folders if (path / "space.yaml").is_file()), None)
    if folder is None:
        missing = " or ".join(str(path) for path in folders if path.is_dir()) or str(folders[1])
        hint = f"studies here: {', '.join(_studies()) or 'none'}"
        raise InputError.of("--study", f"there is no study in {missing}", hint)
    return StudyPlace(study_in(folder), folder, storage_url(storage, folder))


def study_in(folder: Path) -> str:
    """Name of the study whose results are in a folder.

    Raises:
        InputError: its file does not say.
    """
    document = read_yaml(folder / "space.yaml")
    name = document.value.get("name") if isinstance(document.value, dict) else None
    if document.problems or not isinstance(name, str):
        nameless = Problem(document.place(("name",)), "expected the name of a study", ("name",))
        raise InputError(document.problems or [nameless])
    return name


def _studies() -> list[str]:
    return sorted(space.parent.name for space in RUNS.glob("*/space.yaml"))


_STORAGE_HINT = "sqlite:///FILE, or postgresql+psycopg://USER@HOST/DATABASE"
