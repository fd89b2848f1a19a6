"""The rule that every case keeps: what a command may do with any file and any option.

It ends with a status that is documented; what it says has a place, and neither a traceback nor a
control character; nothing of a file is executed; and it takes seconds and not all memory.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from unittest import mock

import typer
from typer.testing import CliRunner

from nas.space.objectives import measured_fields
from tests.fuzz.hostile import MARK
from tests.fuzz.readers import READERS, read
from tests.nas.driving import measured

MOST_SECONDS = 5.0
"""Of processor time, which does not depend on what else the machine does."""

MOST_BYTES = 1.5 * 2**30

DONE, NO_RESULT, WRONG, INTERRUPTED = 0, 1, 2, 130
MOST_TRIALS = 2
MOST_VALUES = 2**24


@dataclass(frozen=True)
class Case:
    """A command, and files in place of those of the ground."""

    kind: str
    arguments: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a case came to.

    Attributes:
        broken: each part of the rule that it broke, in a line.
    """

    status: int
    output: str
    seconds: float
    size: int
    broken: tuple[str, ...]


def run_case(case: Case, ground: Path, folder: Path) -> Outcome:
    """Run a case in a new folder, and judge it."""
    command, *arguments = case.arguments
    reads = command in READERS  # and writes nothing
    shutil.copytree(ground, folder, copy_function=os.link if reads else shutil.copy2)
    for name, content in case.files.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(content)
    app = _reading(command) if reads else import_module(f"nas.{command}").app
    before, started = _reset_peak(), time.process_time()
    with chdir(folder), _without_work(case.arguments), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(app, arguments)
    seconds, size = time.process_time() - started, _memory("VmHWM") - before
    broken = [
        *_broken_by_end(result.exit_code, result.exception, result.stderr),
        *_broken_by_words(result.output),
    ]
    if seconds > MOST_SECONDS:
        broken.append(f"it took {seconds:.1f} s")
    if size > MOST_BYTES:
        broken.append(f"it took {size / 2**30:.2f} GiB")
    if any(path.name == MARK for path in folder.rglob(MARK)):
        broken.append("what a file has was executed")
    return Outcome(result.exit_code, result.output, seconds, size, tuple(broken))


def _reading(name: str) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def reader() -> None:
        read(name)

    return app


def _broken_by_end(status: int, error: BaseException | None, said: str) -> Iterator[str]:
    if error is not None and not isinstance(error, SystemExit):
        # Where it was raised, for two cases with one cause are one fault.
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/nas/" in f.filename or "/trials/" in f.filename]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "elsewhere"
        yield f"{type(error).__name__} at {where}: {str(error)[:200]!r}"
    elif status not in (DONE, NO_RESULT, WRONG, INTERRUPTED):
        yield f"status {status}"
    elif status != DONE and not re.search(
        r"\berror: |^interrupted: |Error ─|^Usage: ", said, re.MULTILINE
    ):
        yield f"status {status}, and it does not say why"


def _broken_by_words(said: str) -> Iterator[str]:
    if "Traceback (most recent call last)" in said:
        yield "a traceback"
    letters = {c for c in said if not c.isprintable() and c not in "\n\t"}
    if letters:
        yield f"control characters in what it says: {sorted(letters)!r}"


@contextmanager
def _without_work(arguments: tuple[str, ...]) -> Iterator[None]:
    """What trains, measures or draws for long ends a command at once; a search has two trials."""

    def done(*_: object, **__: object) -> None:
        raise typer.Exit(DONE)

    def run(_runner: object, driver, _data: object, *_: object, **__: object) -> None:
        for _trial in range(MOST_TRIALS):
            if (spec := driver.next()) is None:
                return
            wanted = measured_fields(driver.objectives) - {"accuracy"}
            driver.record(spec.trial, measured(driver, spec, **dict.fromkeys(wanted, 0.5)))
        if not driver.finished:
            raise KeyboardInterrupt

    from nas.engine import study_data

    def load(config, *more: object):
        """Images that a search has room for, and a case has not."""
        shape = config.shape or (1, 8, 8)
        if (
            config.source == "synthetic"
            and (config.limit or 1) * shape[0] * shape[1] * shape[2] > MOST_VALUES
        ):
            raise typer.Exit(DONE)
        return really_load(config, *more)

    really_load = study_data.load
    replaced = {
        "nas.engine.stage.StageRunner.run": run,
        "nas.engine.study_data.load": load,
        "nas.engine.ray_cluster.RayCluster.start_soon": lambda _: None,
        "nas.engine.screen_and_confirm._latency_ms": lambda *_: 5.0,
        "nas.api.run_search._write_results": lambda *_: None,
        "nas.export.export_trial": lambda *_, **__: None,
        "nas.study.trained_network.load": load,
        "nas.train.load": load,
        "nas.retrain.train_and_export": done,
        "nas.train.train_and_export": done,
        "nas.latency.time_networks": done,
        "nas.fidelity._train_longer": done,
        "nas.report.write_study_images": lambda *_: True,
        "nas.network.ptflops.compare_with_ptflops": lambda _: "",  # builds all of a network
    }
    with ExitStack() as stack:
        for name, stand_in in replaced.items():
            stack.enter_context(mock.patch(name, stand_in))
        stack.enter_context(mock.patch.object(sys, "argv", [f"nas-{arguments[0]}", *arguments[1:]]))
        stack.enter_context(mock.patch.dict(os.environ, {"COLUMNS": "100", "HF_HUB_OFFLINE": "1"}))
        yield


def _memory(name: str) -> int:
    """Bytes of this process, as the system counts them."""
    (line,) = re.findall(
        rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE
    )
    return int(line) * 1024


def _reset_peak() -> int:
    """Count the most that this process holds anew; returns what it holds now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")
