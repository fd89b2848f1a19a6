"""How long a study of many trials takes to open, resume, report, export and show.

    python benchmarks/large_study.py [--trials 10000] [--output DIR]

Its trials are written by the driver as a search writes them, with results out of nothing and
without Ray. Then each command runs in a process of its own, as a user starts it. A folder that has
the study already is used again.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Annotated, Any
from wsgiref.util import setup_testing_defaults

import typer
from rich.console import Console
from rich.table import Table

from nas.engine.environment import describe_environment
from nas.space import SearchSpace
from nas.space.load import build_space, read_document
from nas.space.yaml_document import dump_yaml
from trials.measurement import Measurement
from trials.store import sqlite_url

SPACE = Path(__file__).parent.parent / "search_spaces" / "spectrum.yaml"
NAME = "large"


@dataclass(frozen=True)
class Cost:
    """What a process needed."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def search_nothing(space: SearchSpace, folder: Path) -> None:
    """Fill a study; what is there already stays."""
    from nas.engine.driver import Driver
    from nas.engine.trial_spec import TrialSpec
    from trials.data import load

    def result(spec: TrialSpec) -> tuple[Measurement, ...]:
        noise = int(spec.architecture.key[:6], 16) / 16**6
        accuracy = 0.8 * spec.cost.macs / (spec.cost.macs + 3e5) + 0.2 * noise  # a front of many
        curve = tuple((1.0, 1.0, accuracy * e / 8) for e in range(1, 9))
        return tuple(
            Measurement(
                architecture_key=spec.architecture.key,
                architecture=spec.architecture.to_json(),
                data=driver.data.fingerprint,
                recipe=spec.recipe.key,
                epochs=spec.recipe.epochs,
                seed=seed,
                macs=spec.cost.macs,
                params=spec.cost.params,
                accuracy=accuracy,
                curve=curve,
                seconds=1.0,
            )
            for seed in spec.seeds
        )

    data = load(space.file.data.config).summary
    driver = Driver.open(_url(folder), NAME, space, data, folder / "outbox")
    while (spec := driver.next()) is not None:
        driver.record(spec.trial, result(spec))
    driver.close()


def open_study(_space: SearchSpace, folder: Path) -> None:
    """As in Python, with the front."""
    import nas

    assert nas.load_study(folder).front


def resume(space: SearchSpace, folder: Path) -> None:
    """Until the next trial is handed out, with the bar of progress."""
    from nas.engine.driver import Driver
    from nas.engine.progress import SearchProgress
    from trials.data import load

    data = load(space.file.data.config).summary
    driver = Driver.open(_url(folder), NAME, space, data, folder / "outbox")
    driver.wanted += 1
    SearchProgress(
        NAME, driver.objectives, driver.wanted, driver.trials.complete_values(), quiet=True
    )
    assert driver.next() is not None
    driver.requeue_running()
    driver.close()


def report(_space: SearchSpace, folder: Path) -> None:
    """With the figures as files, where there is a browser."""
    from nas.report import app

    app(["--study", str(folder)], standalone_mode=False)


def export(_space: SearchSpace, folder: Path) -> None:
    """The source of one network, which is trained again."""
    from nas.export import app

    arguments = ["--study", str(folder), "--trial", "7", "--format", "pytorch"]
    app([*arguments, "--output", str(folder / "exported")], standalone_mode=False)


def dashboard(_space: SearchSpace, folder: Path) -> None:
    """What the browser asks the server for: all studies, then the trials, notes and figures."""
    import optuna
    from optuna_dashboard import wsgi

    app = wsgi(str(_url(folder)))
    study = optuna.load_study(study_name=NAME, storage=str(_url(folder)))
    for path in ("/api/studies", f"/api/studies/{study._study_id}"):
        asked: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": "after=0"}
        setup_testing_defaults(asked)
        status: list[str] = []
        answer = b"".join(app(asked, lambda line, *_, s=status: s.append(line)))
        assert status == ["200 OK"], (status, answer[:200])


def _url(folder: Path) -> Any:  # noqa: ANN401  # of SQLAlchemy
    return sqlite_url(folder / "study.db")


def cost_of(step: Callable[[SearchSpace, Path], None], trials: int, folder: Path) -> Cost:
    """Of a step in a process of its own, imports included."""
    pipe, there = get_context("spawn").Pipe(duplex=False)
    start = time.perf_counter()
    process = get_context("spawn").Process(target=_measured, args=(step, trials, folder, there))
    process.start()
    there.close()
    cpu_seconds, peak_bytes = pipe.recv()
    process.join()
    return Cost(time.perf_counter() - start, cpu_seconds, peak_bytes)


def _measured(step: Callable[..., None], trials: int, folder: Path, pipe: Any) -> None:  # noqa: ANN401
    sys.stdout = sys.stderr = (folder / "output.txt").open("a")
    space = build_space(read_document(SPACE, _options(trials)))
    step(space, folder)
    used = getrusage(RUSAGE_SELF)
    pipe.send((time.process_time(), used.ru_maxrss * 1024))


def _options(trials: int) -> list[str]:
    return [f"name={NAME}", f"study.trials={trials}", "study.sampler=random"]


def main(
    trials: Annotated[int, typer.Option(help="Trials of the study.")] = 10_000,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the study, which is kept there.")
    ] = None,
) -> None:
    """Print seconds and memory of each step."""
    table = Table(title=f"A study of {trials:,} trials")
    for heading in ("step", "s", "CPU s", "peak MB"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    with tempfile.TemporaryDirectory() as scratch:
        folder = output or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        document = read_document(SPACE, _options(trials))
        (folder / "space.yaml").write_text(dump_yaml(document.value))
        for step in (search_nothing, open_study, resume, report, export, dashboard):
            cost = cost_of(step, trials, folder)
            name = step.__name__.replace("_", " ")
            memory = f"{cost.peak_bytes / 1e6:.0f}"
            table.add_row(name, f"{cost.seconds:.1f}", f"{cost.cpu_seconds:.1f}", memory)
        page = (folder / "report.html").stat().st_size
    console = Console(width=100)
    console.print(table)
    console.print(f"report.html: {page / 1e6:.1f} MB")
    environment = describe_environment()
    console.print(
        f"{environment['processor']}, {environment['cores']} cores, {environment['date']}"
    )


if __name__ == "__main__":
    typer.run(main)
