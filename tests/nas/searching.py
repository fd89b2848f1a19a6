"""Runs `python -m nas.search` as a user does, and cleans up whatever the test did to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import psutil
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.conftest import ROOT

SMOKE = ROOT / "search_spaces" / "smoke.yaml"


class Search:
    """A running search and its descendants, Ray's included."""

    def __init__(self, *arguments: object, space: Path = SMOKE, **environment: str) -> None:
        command = [sys.executable, "-m", "nas.search", "--space", str(space), *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        )
        self.pid = self.process.pid
        self.descendants: set[psutil.Process] = set()
        self.out = self.err = ""

    def wait(self, timeout_s: float = 200) -> int:
        """Let it end; returns its exit status."""
        self.out, self.err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode

    def look(self) -> set[psutil.Process]:
        """Note the processes that it has started so far."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.descendants |= set(psutil.Process(self.pid).children(recursive=True))
        return self.descendants

    def workers(self) -> list[psutil.Process]:
        """Processes that run a trial at this moment."""
        found = []
        for process in self.look():
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                title = process.cmdline()[0]
                if title.startswith("ray::") and title.endswith("Trainable.train"):
                    found.append(process)
        return found

    def until(self, condition: Callable[[], bool], timeout_s: float = 120) -> None:
        """Wait for something to happen while it runs."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            if self.process.poll() is not None:
                self.wait()
                raise AssertionError(f"the search ended: {self.out}\n{self.err}")
            self.look()
            time.sleep(0.02)

    def kill(self) -> None:
        """`kill -9` of the driver alone."""
        self.look()
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def left_behind(self, timeout_s: float = 20) -> list[psutil.Process]:
        """Descendants that are still there after a while."""
        _, alive = psutil.wait_procs(list(self.descendants), timeout=timeout_s)
        return alive

    def clean_up(self) -> None:
        """End what is left, by id."""
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        for process in self.descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def searching(*arguments: object, space: Path = SMOKE, **environment: str) -> Iterator[Search]:
    """A search that is gone, with all its processes, at the end."""
    search = Search(*arguments, space=space, **environment)
    try:
        yield search
    finally:
        search.clean_up()


def url_of(study: str = "smoke") -> str:
    return f"sqlite:///{Path('runs') / study / 'study.db'}"


_STATE_NAMES = {"complete": "COMPLETE", "failed": "FAIL", "running": "RUNNING"}


def count(url: str, state: str = "complete", study: str = "smoke") -> int:
    """Trials in a state, asked of the database alone: a look must not disturb a driver."""
    file = make_url(url).database if url.startswith("sqlite") else None
    if file is not None and not Path(file).exists():
        return 0
    query = sa.text(
        "SELECT count(*) FROM trials JOIN studies USING (study_id) "
        "WHERE study_name = :study AND state = :state"
    )
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            found = connection.scalar(query, {"study": study, "state": _STATE_NAMES[state]})
            return int(found or 0)
    except (sa.exc.OperationalError, sa.exc.ProgrammingError):
        return 0  # the tables are not there yet
    finally:
        engine.dispose()


def states(url: str, study: str = "smoke") -> Counter[str]:
    """States of all trials, as Optuna has them."""
    study_ = optuna.load_study(study_name=study, storage=url)
    return Counter(trial.state.name for trial in study_.trials)
