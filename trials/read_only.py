"""A database for reading alone, wherever it lies, and in words why one cannot be read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from sqlalchemy.engine import URL

_HEADER = b"SQLite format 3\0"
_CANNOT_WRITE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
_LEFT_OVER = (
    "its last results are in a file beside it, which is read where one can be written; "
    "copy the folder to such a place"
)


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
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return None if "uri" in url.query else Path(str(url.database))


def _open(file: Path) -> sqlite3.Connection:
    file = file.resolve()  # a log is beside the file itself, not beside a link to it
    if all(os.access(path, os.W_OK) for path in (file, file.parent)):
        # A log takes two files beside the database, also to read; only who may write removes them.
        connection = _connection(file, "mode=rw")
        connection.execute("PRAGMA query_only=1").close()
        return connection
    # Where nobody has it open those files would be the reader's own, and in the next driver's way.
    unused = _keeps_log(file) and not _is_in_use(file)
    return _connection(file, "mode=ro&immutable=1" if unused else "mode=ro")


def _keeps_log(file: Path) -> bool:
    """Whether transactions go to a log before they go to the file (its format, section 1.3.3)."""
    try:
        with file.open("rb") as opened:
            return opened.read(20)[18:] == b"\2\2"
    except OSError:
        return False


def _is_in_use(file: Path) -> bool:
    """Whether a database that keeps a log may be open somewhere, or was when its process died."""
    log, index = (file.with_name(f"{file.name}{end}") for end in ("-wal", "-shm"))
    try:
        return log.stat().st_size > 0 or index.exists()
    except FileNotFoundError:  # it is removed when the last one closes the database
        return False


def _connection(file: Path, options: str) -> sqlite3.Connection:
    uri = f"{file.absolute().as_uri()}?{options}"
    connection = sqlite3.connect(uri, timeout=60, uri=True, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").close()  # opens the file
    except UnicodeDecodeError as error:  # of a damaged schema, in what SQLite says of it
        connection.close()
        raise sqlite3.DatabaseError(f"its schema is no text: {error}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _damage(file: Path) -> str:
    try:
        with closing(_open(file)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        reason = _LEFT_OVER if error.sqlite_errorcode & 0xFF in _CANNOT_WRITE else error
        return f"the database {file} cannot be read: {reason}"
    except sqlite3.DatabaseError as error:
        return f"the database {file} is damaged: {error}"
    said = " ".join(str(found).split())
    return "" if said == "ok" else f"the database {file} is damaged: {said}"
