"""A database for reading alone, wherever it lies, and in words why one cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from sqlalchemy.engine import URL

_HEADER = b"SQLite format 3\0"


def opens_read_only(url: URL) -> Callable[[], sqlite3.Connection] | None:
    """What connects to a database that is a file; None for others.

    The file is not made where there is none, and may lie in a folder that cannot be written.
    """
    file = _file_of(url)
    return None if file is None else partial(_open, file)


def why_unreadable(url: URL) -> str:
    """Why nothing can be read of a database, in a line; empty where that does not lie in its file.

    It takes as long as reading the whole file does.
    """
    file = _file_of(url)
    if file is None:
        return ""
    if file.is_dir():
        return f"{file} is a folder, not a database"
    try:
        with file.open("rb") as opened:
            header = opened.read(len(_HEADER))
    except FileNotFoundError:
        return f"there is no database {file}"
    except OSError as error:
        return f"the database {file} cannot be read: {error.strerror}"
    if not header:
        return f"the database {file} is empty: the file has no bytes"
    if header != _HEADER:
        return f"{file} is not an SQLite database"
    return _damage(file)


def has_bytes(url: URL) -> bool:
    """Whether anything was ever written into a database, as far as its file tells."""
    file = _file_of(url)
    return file is None or (file.exists() and file.stat().st_size > 0)


def _file_of(url: URL) -> Path | None:
    """The file of an SQLite database that is named as a path."""
    path = url.database or ""
    named = url.get_backend_name() == "sqlite" and not path.startswith((":", "file:")) and path
    return Path(path) if named else None


def _open(file: Path) -> sqlite3.Connection:
    try:
        return _connection(file, "mode=ro")
    except sqlite3.OperationalError:
        # A write-ahead log needs two files beside the database, also to read. Where they cannot be
        # made nobody writes either; what is in a log that is there would be missed.
        log = file.with_name(f"{file.name}-wal")
        if not file.is_file() or (log.exists() and log.stat().st_size):
            raise
        return _connection(file, "mode=ro&immutable=1")


def _connection(file: Path, options: str) -> sqlite3.Connection:
    uri = f"{file.absolute().as_uri()}?{options}"
    connection = sqlite3.connect(uri, timeout=60, uri=True, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").close()  # opens the file
    except BaseException:
        connection.close()
        raise
    return connection


def _damage(file: Path) -> str:
    try:
        with closing(_open(file)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:  # locked, or beside a log in a read-only folder
        return f"the database {file} cannot be read: {error}"
    except sqlite3.DatabaseError as error:
        return f"the database {file} is damaged: {error}"
    said = " ".join(str(found).split())
    return "" if said == "ok" else f"the database {file} is damaged: {said}"
