"""Latencies of networks in several settings, in a database: what `trials.interleaved` found."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.engine import URL

from trials.bounded_json import JsonError, in_a_line
from trials.store import engine_options, put


@dataclass(frozen=True)
class Timing:
    """One network in one setting on one machine.

    Attributes:
        architecture_key: names the network: its weights do not count.
        device: the processor.
        runtime: what computed it.
        threads: of the runtime.
        batch: images at once.
        layout: of the images in memory; empty where the runtime has its own.
        first_ms: first quartile of the time for a batch; then the median and the third.
    """

    architecture_key: str
    device: str
    runtime: str
    threads: int
    batch: int
    layout: str
    first_ms: float
    median_ms: float
    third_ms: float


_TIMING = TypeAdapter(Timing)
_METADATA = sa.MetaData()
_IDENTITY = ("architecture_key", "device", "runtime", "threads", "batch", "layout")
TIMINGS = sa.Table(
    "timing",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("architecture_key", sa.String(16), nullable=False),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("runtime", sa.String(16), nullable=False),
    sa.Column("threads", sa.Integer, nullable=False),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("layout", sa.String(16), nullable=False),
    sa.Column("first_ms", sa.Double, nullable=False),
    sa.Column("median_ms", sa.Double, nullable=False),
    sa.Column("third_ms", sa.Double, nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint(*_IDENTITY),
)


def add_timings(url: URL, timings: Iterable[Timing]) -> None:
    """Record them, in place of earlier ones of the same; the table is made where there is none."""
    engine = sa.create_engine(url, **engine_options(url))
    try:
        _METADATA.create_all(engine)
        recorded_at = datetime.datetime.now(datetime.UTC)
        with engine.begin() as connection:
            rows = [asdict(timing) | {"recorded_at": recorded_at} for timing in timings]
            put(connection, TIMINGS, _IDENTITY, rows)
    finally:
        engine.dispose()


def read_timings(engine: sa.Engine) -> tuple[Timing, ...]:
    """Oldest first; none where none were ever recorded.

    Raises:
        JsonError: one of them is something else.
    """
    if not sa.inspect(engine).has_table(TIMINGS.name):
        return ()
    columns = [TIMINGS.c[field.name] for field in fields(Timing)]
    with engine.connect() as connection:
        rows = connection.execute(sa.select(*columns).order_by(TIMINGS.c.id)).all()
    try:
        return tuple(_TIMING.validate_python(row._asdict()) for row in rows)
    except ValidationError as error:
        raise JsonError(f"a timing is not one: {in_a_line(error)}") from None
