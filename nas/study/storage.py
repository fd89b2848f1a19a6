"""The database of a study, opened to be read or to be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import optuna
import sqlalchemy as sa
from optuna.storages._rdb.models import BaseModel
from pydantic import ValidationError
from sqlalchemy.engine import URL, make_url

from nas.space.shown_text import shown_line
from trials.bounded_json import JsonError, in_a_line, shortened
from trials.read_only import has_bytes, why_unreadable
from trials.store import engine_options, reading_options

STORAGE_ERRORS = (sa.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)
"""What is raised where a database cannot be used."""

_STUDIES = "studies"
"""Optuna's table of them."""

T = TypeVar("T")


class NoStudy(LookupError):
    """The database has no such study, or cannot be read."""


class NoSuchStudy(NoStudy):
    """There is no such study: what is damaged is never one of these."""


@contextmanager
def understanding(what: str) -> Iterator[None]:
    """Say what of a study is not as `nas.search` writes it: a disk or a hand may have changed it.

    Args:
        what: is read, such as ``trial 3 of study spectrum``.

    Raises:
        NoStudy: something is raised that values of another kind lead to.
    """
    try:
        yield
    except NoStudy:
        raise
    except _MISTAKES as error:
        raise NoStudy(f"{what} cannot be read: {shown_line(_reason(error))}") from error


_MISTAKES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return in_a_line(error)
    if isinstance(error, KeyError):
        return f"{shortened(error.args[0])} is missing"
    return shortened(str(error), 200)


def attribute(
    study: str,
    kept: Mapping[str, Any],
    name: str,
    read: Callable[[Any], T],
    default: str = "",
) -> T:
    """An attribute of a study.

    Args:
        study: its name.
        kept: all of its attributes.
        read: raises where it is something else.
        default: text of one that studies need not have.

    Raises:
        NoStudy: it is not there, or not as `nas.search` writes it.
    """
    with understanding(f"attribute {name} of study {study}"):
        return read(kept.get(name, default) if default else kept[name])


def quiet_optuna() -> None:
    """Optuna says nothing of what goes well: the commands of this program have their own output."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@contextmanager
def reading(url: URL) -> Iterator[None]:
    """Say why a database cannot be read, where that lies in its file.

    Raises:
        NoStudy: it cannot be.
    """
    try:
        yield
    except JsonError as error:
        raise NoStudy(f"the database cannot be read: {shown_line(str(error))}") from None
    except STORAGE_ERRORS:
        if reason := why_unreadable(url):
            raise NoStudy(reason) from None
        raise


def open_storage(
    url: str | URL, create: bool = False, write: bool = False
) -> optuna.storages.RDBStorage:
    """Optuna's storage on a study's database.

    Args:
        create: make the tables where there are none. Only a driver does: two processes that make
            them at once get in each other's way.
        write: into what is there.

    Raises:
        NoSuchStudy: there are no tables, and none were to be made.
        NoStudy: it cannot be read.
    """
    url = make_url(url)
    options = engine_options(url) if create or write else reading_options(url)
    try:
        if create:
            _make_tables(url)
        return optuna.storages.RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs=options,
            skip_table_creation=True,
        )
    except STORAGE_ERRORS:
        if create:
            raise
        if reason := why_unreadable(url):
            raise (NoStudy if has_bytes(url) else NoSuchStudy)(reason) from None
        if not _is_without_studies(url):
            raise
        raise NoSuchStudy("the database has no studies") from None
    except RuntimeError as error:  # of its look at the version of the tables
        said = shown_line(str(error))
        raise NoStudy(f"the database is of another version of Optuna: {said}") from error


def _make_tables(url: URL) -> None:
    """Make Optuna's tables with their indexes, all or none.

    Optuna, and versions before this one, made them one by one; killed in between they left tables
    without indexes, one of which keeps the names of studies apart.
    """
    engine = sa.create_engine(url, **engine_options(url))
    try:
        with engine.begin() as connection:
            if url.get_backend_name() == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # Python begins none for tables
            BaseModel.metadata.create_all(connection)
            for table in BaseModel.metadata.sorted_tables:
                for index in table.indexes:
                    index.create(connection, checkfirst=True)
    finally:
        engine.dispose()


def _is_without_studies(url: URL) -> bool:
    """Whether there are none; where that cannot be found out there may be some.

    A driver that was killed at once leaves tables in which Optuna has not noted their version.
    """
    engine = sa.create_engine(url, **reading_options(url))
    try:
        with engine.connect() as connection:
            made = sa.inspect(connection).has_table(_STUDIES)
            return not made or not connection.scalar(sa.text(f"SELECT count(*) FROM {_STUDIES}"))
    except sa.exc.SQLAlchemyError:
        return False
    finally:
        engine.dispose()


@contextmanager
def opened_storage(url: str | URL, write: bool = False) -> Iterator[optuna.storages.RDBStorage]:
    """Optuna's storage on a study's database, for a while.

    Args:
        write: into it, too.

    Raises:
        NoSuchStudy: there are no studies in it.
        NoStudy: it cannot be read.
    """
    with reading(make_url(url)):
        storage = open_storage(url, write=write)
        try:
            yield storage
        finally:
            storage.engine.dispose()


@contextmanager
def opened_study(url: str | URL, name: str, write: bool = False) -> Iterator[optuna.Study]:
    """A study of this program.

    Args:
        write: into it, too.

    Raises:
        NoSuchStudy: there is none of this name, or it was not made by `nas.search`.
        NoStudy: it cannot be read.
    """
    with opened_storage(url, write) as storage:
        yield load_optuna_study(storage, name)


def load_optuna_study(storage: optuna.storages.RDBStorage, name: str) -> optuna.Study:
    """An existing study of this program.

    Raises:
        NoSuchStudy: there is none of this name, or it was not made by `nas.search`.
        NoStudy: it cannot be read.
    """
    with storage.engine.connect() as connection:  # Optuna's own list takes all studies to be whole
        names = connection.scalars(sa.text(f"SELECT study_name FROM {_STUDIES}")).all()
    if name not in names:
        shown = ", ".join(shown_line(str(other)) for other in names) or "none"  # bytes, if damaged
        raise NoSuchStudy(f"the database has no study {name}; it has {shown}")
    with understanding(f"what is kept of study {name}"):
        study = optuna.load_study(study_name=name, storage=storage)
        attributes = study.user_attrs
    if "identity" not in attributes:
        raise NoSuchStudy(f"study {name} was not made by nas.search: it has no search space")
    return study
