"""The address of a study's database: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

import os
import re
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from nas.space.errors import InputError
from nas.space.shown_text import shown_address
from trials.store import sqlite_url

STORAGE_VARIABLE = "NAS_STORAGE"

_FORMS = "sqlite:///FILE, or postgresql+psycopg://USER@HOST/DATABASE"
_NOT_KEPT = "not a database that a study can be kept in"


def storage_url(storage: str | None, folder: Path, option: str = "--output") -> URL:
    """The database of a study: as given, from the environment, or SQLite in its folder.

    Args:
        option: that names the folder.

    Raises:
        InputError: not a URL of SQLite or PostgreSQL; a folder whose name is no text.
    """
    if not _is_utf8(str(folder)) or "\0" in str(folder):
        message = f"the name of a study's folder is UTF-8: {folder}"
        raise InputError.of(option, message, "name another folder")
    source = "--storage" if storage else STORAGE_VARIABLE
    text = storage or os.environ.get(STORAGE_VARIABLE)
    if not text:
        return sqlite_url(folder / "study.db")
    try:
        return _read(text)
    except _Refused as error:
        rule, hint = error.args
        shown = f": {shown_address(text)}" if "://" in text else ""  # of others all may be secret
        raise InputError.of(source, f"{rule}{shown}", hint) from None


def shown_url(url: URL) -> str:
    """A database URL without its password, which may be among the options, too."""
    return shown_address(url.render_as_string(hide_password=True))


class _Refused(ValueError):
    """A rule that a URL breaks, and a hint."""

    def __init__(self, rule: str, hint: str = _FORMS) -> None:
        super().__init__(rule, hint)


def _read(text: str) -> URL:
    if not text.isprintable():
        raise _Refused("a database URL is UTF-8 without control characters")
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise _Refused("not a database URL") from None
    if any("\0" in part for part in (url.username, url.password, url.host, url.database) if part):
        raise _Refused("a database URL has no %00")
    match url.drivername:
        case "sqlite" | "sqlite+pysqlite":
            return _read_sqlite(url)
        case "postgresql" | "postgresql+psycopg" | "postgresql+psycopg2":  # what programs call it
            return _read_postgresql(url, text)
    raise _Refused(_NOT_KEPT)


def _read_sqlite(url: URL) -> URL:
    """A path, and nothing that would give one database two names."""
    file = url.database
    if url.host or url.port or url.username or url.password:
        raise _Refused("a database in a file has no host: / comes three times")
    if url.query:
        raise _Refused("a database in a file takes no options", f"{_FORMS}; a ? in a name is %3F")
    if not file or file == ":memory:":
        raise _Refused(_NOT_KEPT)
    if file.startswith("file:"):
        raise _Refused("a file is named by its path, without file:")
    if file.endswith("/") or (Path(file).exists() and not Path(file).is_file()):
        raise _Refused("not a file", f"{_FORMS}; of a folder, name a file in it")
    return sqlite_url(file)


def _read_postgresql(url: URL, text: str) -> URL:
    misplaced = "@" in text and url.username is None
    if misplaced or text.count("@") > 1 or "?" in text.rpartition("@")[0]:
        raise _Refused(
            "a database URL has one @, after the user", "an @ in a password is %40, and a ? is %3F"
        )
    if re.search(r"[\s{}]", url.host or ""):
        raise _Refused("not the name of a host")
    if unknown := set(url.query) - _options_of_postgresql():
        raise _Refused(f"PostgreSQL has no option {min(unknown)}")
    return url.set(drivername="postgresql+psycopg")


def _options_of_postgresql() -> set[str]:
    from psycopg.pq import Conninfo  # loads PostgreSQL's library

    return {option.keyword.decode() for option in Conninfo.get_defaults()}


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # its bytes are no text, which Python has as surrogates
        return False
    return True
