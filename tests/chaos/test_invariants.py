"""What the campaign takes for a violation: a study is damaged by hand, one way after the other."""

from __future__ import annotations

import copy
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.chaos.invariants import violations
from tests.chaos.round import Round


def change(statement: str) -> Callable[[Round], None]:
    def in_database(played: Round) -> None:
        with closing(sqlite3.connect(played.study / "study.db")) as connection:
            connection.execute(statement)
            connection.commit()

    return in_database


def write(name: str) -> Callable[[Round], None]:
    def in_work(played: Round) -> None:
        file = played.folder / name.format(outbox=next((played.study / "outbox").iterdir()))
        file.write_text("")

    return in_work


def finish_more(played: Round) -> None:
    with played.ledger.open("a") as ledger:
        ledger.write('[["0123456789abcdef", "data", "recipe", 2, 7]]\n')


def record_more(played: Round) -> None:
    """A measurement that nobody has made, as of a result that was adopted in another study."""
    with closing(sqlite3.connect(played.study / "study.db")) as connection:
        connection.executescript(
            "CREATE TEMP TABLE more AS SELECT * FROM measurement WHERE id = 2;"
            "UPDATE more SET id = 1000, seed = 1000, state = 'failed';"
            "INSERT INTO measurement SELECT * FROM more;"
        )


def finish_again(played: Round) -> None:
    with played.ledger.open("a") as ledger:
        ledger.write(played.ledger.read_text().splitlines()[0] + "\n")


DAMAGES = {
    "have not ended: {13: 'RUNNING'}": change(
        "UPDATE trials SET state = 'RUNNING' WHERE number = (SELECT max(number) FROM trials)"
    ),
    "trials of chaos are complete of 14": change(
        "UPDATE trials SET state = 'FAIL' WHERE number = 3"
    ),
    "are numbered": change("UPDATE trials SET number = 99 WHERE number = 3"),
    "has no measurement": change("DELETE FROM measurement WHERE id = 2"),
    "is not what its training gave": change("UPDATE measurement SET accuracy = 0.5 WHERE id = 2"),
    "not in the database": finish_more,
    "in the database, and never trained": record_more,
    "trained again": finish_again,
    "the outbox is not empty": write("{outbox}/3.json"),
    "were put aside": write("{outbox}/3.bad"),
    "not completed": write("work/space.yaml.host.1.partial"),
    "temporary files": write("tmp/left"),
}


@pytest.fixture(scope="module")
def whole():
    """A study to which nothing was done."""
    played = Round(0, space_name="random", database="sqlite")
    played.end(played.start(fresh=True), 0)
    assert [*violations(played), *played.violations] == []
    yield played
    played.clean_up()


@pytest.mark.parametrize("line", DAMAGES)
def test_a_violation_is_seen(whole, line, tmp_path):
    damaged = copy.copy(whole)
    damaged.folder = tmp_path / "round"
    damaged._url = None
    shutil.copytree(whole.folder, damaged.folder)
    DAMAGES[line](damaged)
    assert [line in found for found in violations(damaged)].count(True) == 1
