"""How a search ends that does not end with all its results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class SearchFailed(RuntimeError):
    """A search that ended without what was asked for; what is complete is kept."""


@contextmanager
def failing_with_the_machine() -> Iterator[None]:
    """A disk or a database that fails ends a search, which goes on once they are well again.

    Raises:
        SearchFailed: one of them has.
    """
    try:
        yield
    except Exception as error:
        if (fault := fault_of_machine(error)) is None:
            raise
        raise SearchFailed(fault) from error


def fault_of_machine(error: Exception) -> str | None:
    """What a disk or a database has done, in words; None for any other error."""
    import sqlalchemy as sa  # only now: with Optuna it loads for a second

    from nas.study.storage import STORAGE_ERRORS

    if isinstance(error, STORAGE_ERRORS):
        cause = error.__cause__ if isinstance(error.__cause__, sa.exc.SQLAlchemyError) else error
        reason = getattr(cause, "orig", None) or cause
        return f"the database cannot be used: {str(reason).splitlines()[0]}"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return None
