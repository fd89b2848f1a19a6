"""Search a space: ``python -m nas.search --space search_spaces/spectrum.yaml``.

The same command again resumes the study, whatever ended it.
"""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nas import ray_settings
from nas.command_line import (
    RUNS,
    command,
    faults_reported,
    shown_url,
    storage_url,
    study_in,
)
from nas.environment import describe_environment
from nas.faults import InputError
from nas.progress import SearchProgress
from nas.space import SearchSpace
from nas.space.load import read_document, space_of
from nas.space.quantities import format_count
from nas.study import (
    Driver,
    DriverLock,
    choose,
    parameter_importances,
    quiet_optuna,
    read_records,
)
from nas.whole_file import write_whole
from nas.yaml_file import Document, dump_yaml
from trials.data import DataError, ImageData, check_batch_size, load

app = command()

INTERRUPTED = 130


@app.command()
def search(
    space: Annotated[Path, typer.Option(help="Search-space file (YAML).")],
    trials: Annotated[int | None, typer.Option(help="Complete trials wanted.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Database URL; default: $NAS_STORAGE, or SQLite in the output folder."),
    ] = None,
    study: Annotated[str | None, typer.Option(help="Name of the study.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder; default: runs/STUDY.")] = None,
    cpus_per_trial: Annotated[float | None, typer.Option(help="CPU cores of a trial.")] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(help="GPUs of a trial; may be a fraction.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A running Ray cluster; default: this machine.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the whole study.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of each trial.")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="tpe, nsga2, nsga3, gp, random or grid.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any value of the file, such as training.epochs=3."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Search the separability spectrum; the same command again resumes."""
    assignments: dict[str, tuple[tuple[str, ...], object]] = {
        "--trials": (("study", "trials"), trials),
        "--study": (("name",), study),
        "--cpus-per-trial": (("resources", "cpus_per_trial"), cpus_per_trial),
        "--gpus-per-trial": (("resources", "gpus_per_trial"), gpus_per_trial),
        "--seed": (("study", "seed"), seed),
        "--epochs": (("training", "epochs"), epochs),
        "--sampler": (("study", "sampler"), sampler),
    }
    options = {option: given for option, given in assignments.items() if given[1] is not None}
    with faults_reported():
        document = read_document(space, overrides or (), options)
        run = SearchRun(document, space_of(document), storage, output, ray_address, quiet)
        sys.exit(run())


class SearchRun:
    """One run of the command: from a checked search space to results on disk."""

    def __init__(
        self,
        document: Document,
        space: SearchSpace,
        storage: str | None,
        output: Path | None,
        ray_address: str | None,
        quiet: bool,
    ) -> None:
        self.document, self.space = document, space
        self.name = space.file.name
        self.folder = output or RUNS / self.name
        self.url = storage_url(storage, self.folder)
        self.storage = storage
        self.ray_address, self.quiet = ray_address, quiet
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True)

    def __call__(self) -> int:
        """Search; returns the exit status."""
        quiet_optuna()
        self._claim_folder()
        try:
            with DriverLock(self.url, self.name):
                return self._search(self._load_data())
        except KeyboardInterrupt:
            print(f"resume with: {self._command()}", file=sys.stderr)
            return INTERRUPTED

    def _claim_folder(self) -> None:
        """Make the folder; one of another study is left alone."""
        if (self.folder / "space.yaml").is_file():
            found = study_in(self.folder)
            if found != self.name:
                raise InputError.of(
                    "--output",
                    f"{self.folder} holds study {found}, not {self.name}",
                    "name another folder",
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.url.get_backend_name() == "sqlite":
            Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)

    def _search(self, data: ImageData) -> int:
        driver = Driver(
            self.url,
            self.name,
            self.space,
            self.document.value,
            data.summary,
            self.folder / "outbox",
        )
        try:
            self._write_inputs(data)
            if not driver.over:
                self._run_trials(driver, data)
            return self._finish(driver)
        except KeyboardInterrupt:
            driver.release()
            print(f"interrupted: {self._count(driver)}", file=sys.stderr)
            raise
        finally:
            driver.release()
            driver.close()

    def _load_data(self) -> ImageData:
        config = self.space.file.data.config
        try:
            data = load(config)
            check_batch_size(data, self.space.file.training.full_recipe.batch_size)
            if data.input_shape != self.space.input_shape:
                raise DataError(
                    f"the images have shape {list(data.input_shape)}, but the data set's first one "
                    f"has {list(self.space.input_shape)} (channels, height, width)"
                )
        except DataError as error:
            section = "training" if error.field == "batch_size" else "data"
            self.document.fault((section, error.field), str(error), error.hint)
            raise InputError(self.document.faults) from None
        return data

    def _write_inputs(self, data: ImageData) -> None:
        """What was searched and where, so that the folder explains itself."""
        note = f"# As searched: {self.document.source} with all options applied.\n"
        text = note + dump_yaml(self.document.value)
        write_whole(self.folder / "space.yaml", text)
        resources = self.space.file.resources
        environment = describe_environment() | {
            "command": self._command(),
            "storage": shown_url(self.url),
            "data": data.summary.fingerprint,
            "threads_per_trial": resources.threads,
            "device": "cuda" if resources.gpus_per_trial else "cpu",
        }
        write_whole(self.folder / "environment.json", json.dumps(environment, indent=2) + "\n")

    def _run_trials(self, driver: Driver, data: ImageData) -> None:
        """Run what is left to run.

        Raises:
            KeyboardInterrupt: the search was asked to stop.
        """
        ray_settings.prepare(local=self.ray_address is None)
        from nas import ray_tune  # only now: Ray reads its settings when it is imported

        file = self.space.file
        self.console.print(
            f"{self.name}: {format_count(self.space.size)} architectures, "
            f"{len(data.train):,} training and {len(data.validation):,} validation images, "
            f"{driver.complete} of {driver.wanted} trials complete"
        )
        gpus = file.resources.gpus_per_trial
        job = ray_tune.Job(
            recipe=file.training.full_recipe,
            fingerprint=data.summary.fingerprint,
            latency="latency_ms" in file.objective_names,
            outbox=driver.outbox.folder.absolute(),
            weights=(self.folder / "weights").absolute(),
            threads=file.resources.threads,
            gpu=gpus > 0,
        )
        resources = ray_tune.Resources(file.resources.cpus_per_trial, gpus)
        progress = SearchProgress(self.name, driver.wanted, driver.records().complete, self.quiet)
        driver.listener = progress
        try:
            # Ray has a handler for SIGTERM of its own, so ours comes after its start.
            with ray_tune.cluster(self.ray_address), stop_requests() as stopped, progress:
                ray_tune.run(driver, job, data, resources, stopped)
        except ray_tune.ResourceError as error:
            option = "--gpus-per-trial" if gpus else "--cpus-per-trial"
            raise InputError.of(option, str(error)) from None

    def _finish(self, driver: Driver) -> int:
        """Write the results, say where they are; returns the exit status."""
        if driver.hopeless:
            print(
                f"error: {len(driver.failures_in_row)} trials in a row have failed, the last one: "
                f"{driver.failures_in_row[-1]}",
                file=sys.stderr,
            )
        elif driver.exhausted:
            self.console.print(
                f"no other architecture was found inside the budget: {self._count(driver)}"
            )
        if driver.complete:
            self._write_results()
        return 1 if driver.hopeless or not driver.complete else 0

    def _write_results(self) -> None:
        """Front, report, dashboard and the exported knee."""
        # Plotly, fANOVA and the dashboard load for a second: only once there is something to show.
        from nas.dashboard import publish
        from nas.export.trial import export_trial
        from nas.report import study_figures, write_report

        records = read_records(self.url, self.name)
        importances = parameter_importances(self.url, self.name)
        write_report(records, importances, self.folder)
        publish(self.url, records, study_figures(records, importances))
        best = choose(records)
        export_trial(records, best, self.folder, self.folder / "best", self.console.print)
        self.console.print(
            f"front of {len(records.front)}; its knee, trial {best.number} with accuracy "
            f"{best.accuracy:.4f} at {format_count(best.macs)} MACs, is in {self.folder / 'best'}\n"
            f"report: {self.folder / 'report.html'}\n"
            f"dashboard: optuna-dashboard {shown_url(self.url)}"
        )

    def _count(self, driver: Driver) -> str:
        return f"{driver.complete} of {driver.wanted} trials are complete"

    def _command(self) -> str:
        """The command of this run, to be run again; without the password of a database."""
        url = shown_url(self.url)
        shown = {self.storage: url, f"--storage={self.storage}": f"--storage={url}"}
        arguments = (shown.get(argument, argument) for argument in sys.argv[1:])
        return f"python -m nas.search {shlex.join(arguments)}"


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed or the process was asked to end; pressed again, end at once."""
    requests: list[int] = []

    def request(number: int, _frame: object) -> None:
        requests.append(number)
        if len(requests) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(requests)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    app()
