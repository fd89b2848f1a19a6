"""Trials out of Optuna's tables, in a query for each table, of a whole study or of some trials.

Optuna itself makes an object of every row, and of every parameter's distribution twice: a study of
thousands of trials took several times as long. The tables' names are Optuna's own: they may change
with any version of it, and are used in this file and in `nas.engine.optuna_storage` alone (but for
the making of all tables and the name of that of studies, in `nas.study.storage`).
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

import optuna
import sqlalchemy as sa
from optuna.distributions import json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import Session

from nas.study.storage import understanding
from trials.bounded_json import parse_json, shortened

_TRIAL = models.TrialModel
_Rows = dict[int, list[Any]]


def engine_of(study: optuna.Study) -> sa.Engine:
    """The database of a study."""
    storage = cast("optuna.storages.RDBStorage", study._storage)
    return getattr(storage, "_backend", storage).engine  # without the cache in between


def read_trials(study: optuna.Study, numbers: Collection[int] | None = None) -> list[FrozenTrial]:
    """The trials of a study as `optuna.Study.get_trials` has them, in the order of their numbers.

    Args:
        numbers: of those that are wanted; all where it is None.

    Raises:
        NoStudy: something of a trial is not as Optuna writes it.
    """
    chosen = _TRIAL.study_id == study._study_id
    if numbers is not None:
        chosen &= _TRIAL.number.in_(numbers)
    query = sa.select(_TRIAL).where(chosen).order_by(_TRIAL.number)
    params, values = models.TrialParamModel, models.TrialValueModel
    of_user, of_system = models.TrialUserAttributeModel, models.TrialSystemAttributeModel
    steps = models.TrialIntermediateValueModel
    queries = {
        "params": _query(chosen, params.param_name, params.param_value, params.distribution_json),
        "values": _query(chosen, values.objective, values.value, values.value_type),
        "user": _query(chosen, of_user.key, of_user.value_json),
        "system": _query(chosen, of_system.key, of_system.value_json),
        "steps": _query(
            chosen, steps.step, steps.intermediate_value, steps.intermediate_value_type
        ),
    }
    with Session(engine_of(study)) as session:
        with understanding(f"the trials of study {study.study_name}"):  # cells of other types
            trials: Sequence[Any] = session.scalars(query).all()
            tables = {name: _rows(session.execute(query)) for name, query in queries.items()}
            count = len(study.directions)
        found = []
        for trial in trials:
            rows = {name: table[trial.trial_id] for name, table in tables.items()}
            with understanding(f"trial {trial.number} of study {study.study_name}"):
                found.append(_frozen(trial, rows, count))
        return found


def _query(chosen: sa.ColumnElement[bool], *columns: Any) -> sa.Select[Any]:  # noqa: ANN401
    """For rows of a table, each with its trial, in the order in which they were written."""
    table = columns[0].class_
    first = sa.inspect(table).primary_key[0]
    query = sa.select(table.trial_id, *columns).join(_TRIAL, _TRIAL.trial_id == table.trial_id)
    return query.where(chosen).order_by(first)


def _rows(result: Iterable[Any]) -> _Rows:
    """Rows by the trial that they are of."""
    found: _Rows = defaultdict(list)
    for trial_id, *cells in result:
        found[trial_id].append(cells)
    return found


_distribution = functools.lru_cache(maxsize=1024)(json_to_distribution)
"""A study has as many as parameters; they are never changed."""


def check_values(values: Sequence[object], count: int) -> None:
    """Check the values of a complete trial.

    Args:
        count: of the objectives.

    Raises:
        ValueError: there are more or fewer of them, or something else than finite numbers.
    """
    if len(values) != count:
        raise ValueError(f"a complete trial has {count} values; got {len(values)}")
    for value in values:
        if not isinstance(value, float) or not math.isfinite(value):
            raise ValueError(f"a value of a complete trial is a finite number; got {value!r:.40}")


def _frozen(trial: Any, rows: dict[str, list[Any]], count: int) -> FrozenTrial:  # noqa: ANN401  # Optuna's row
    params = [(name, value, _distribution(text)) for name, value, text in rows["params"]]
    as_step = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    values = [_value(cell, kind) for _, cell, kind in sorted(rows["values"], key=_first)]
    if trial.state == TrialState.COMPLETE:
        check_values(values, count)
    return FrozenTrial(
        number=trial.number,
        state=trial.state,
        value=None,
        values=values or None,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params={name: drawn.to_external_repr(value) for name, value, drawn in params},
        distributions={name: drawn for name, _, drawn in params},
        user_attrs={key: parse_json(value, finite=False) for key, value in rows["user"]},
        system_attrs={key: parse_json(value, finite=False) for key, value in rows["system"]},
        intermediate_values={
            step: _number(as_step, value, kind) for step, value, kind in rows["steps"]
        },
        trial_id=trial.trial_id,
    )


def _value(cell: object, kind: Any) -> float:  # noqa: ANN401  # Optuna's own
    stored = models.TrialValueModel
    if kind == stored.TrialValueType.FINITE and not isinstance(cell, float):
        # SQLite keeps anything in any column.
        raise ValueError(f"a value is a number; got {shortened(repr(cell))}")
    return _number(stored.stored_repr_to_value, cell, kind)


def _number(read: Callable[[Any, Any], float], cell: object, kind: object) -> float:
    """What Optuna keeps in two columns, for a database has no infinity.

    Raises:
        ValueError: the columns contradict each other.
    """
    try:
        return read(cell, kind)
    except AssertionError:
        raise ValueError(f"an infinite value has no number; got {shortened(repr(cell))}") from None


def _first(cells: list[Any]) -> Any:  # noqa: ANN401  # of a row
    return cells[0]


def trial_ids(study: optuna.Study, states: Collection[TrialState]) -> dict[int, int]:
    """The trials in some states: what the database calls each, by its number."""
    query = sa.select(_TRIAL.number, _TRIAL.trial_id).where(
        _TRIAL.study_id == study._study_id, _TRIAL.state.in_(states)
    )
    with Session(engine_of(study)) as session:
        return {int(number): int(trial_id) for number, trial_id in session.execute(query)}
