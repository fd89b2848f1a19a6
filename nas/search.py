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

import torch
import typer
from rich.console import Console

from nas import ray_settings
from nas.architecture import Architecture
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
from nas.matching import MatchError
from nas.network import build_network
from nas.progress import SearchProgress, arm_table
from nas.space import SearchSpace
from nas.space.load import read_document, space_of
from nas.space.quantities import format_count
from nas.study import (
    Arm,
    Design,
    Driver,
    DriverLock,
    NoStudy,
    Plan,
    arms_of,
    arms_to_confirm,
    choose,
    confirmation_name,
    design_seeds,
    parameter_importances,
    quiet_optuna,
    read_records,
    register,
)
from nas.study.design import Stage
from nas.whole_file import write_whole
from nas.yaml_file import Document, dump_yaml
from trials.data import DataError, ImageData, Split, check_batch_size, load, load_test
from trials.measure import measure_latency
from trials.trial import prepare_process

app = command()

INTERRUPTED = 130

_NO_OTHER = "no other architecture was found inside the budget"


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
    controls: Annotated[
        bool, typer.Option("--controls", help="Add twin arms and a handicapped one to a design.")
    ] = False,
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
        "--controls": (("design", "controls"), controls or None),
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
        arms = self._arms()
        with self._driving(self.name, data, self._design("screening", arms)) as driver:
            self._write_inputs(data)
            self._register(driver, arms)
            if driver.design is not None and not driver.over:
                self.console.print(arm_table(arms, self.space.file.matched))
            if not driver.over:
                self._run_trials(driver, data)
            status, complete = self._outcome(driver), driver.complete
        try:
            if status == 0 and self.space.file.confirm is not None:
                status = self._confirm(data)
        except InputError:  # of the test split: what was found before stays found
            self._write_results()
            raise
        if complete:
            self._write_results()
        return status

    @contextmanager
    def _driving(self, name: str, data: ImageData, design: Design | None) -> Iterator[Driver]:
        """The driver of a stage, which leaves no trial running, however the stage ends."""
        driver = Driver(
            self.url,
            name,
            self.space,
            self.document.value,
            data.summary,
            self.folder / "outbox",
            design,
        )
        try:
            yield driver
        except KeyboardInterrupt:
            driver.release()
            print(f"interrupted: {self._count(driver)}", file=sys.stderr)
            raise
        finally:
            driver.release()
            driver.close()

    def _arms(self) -> tuple[Arm, ...]:
        """Of the design, their widths solved; those of an earlier run as they were."""
        if self.space.file.design is None:
            return ()
        try:
            solved = read_records(self.url, self.name).arms
        except NoStudy:
            solved = ()
        matched = self.space.file.matched
        if matched is None or matched.cost != "latency_ms":
            return arms_of(self.space)
        try:
            with self.console.status("measuring latencies"):
                return arms_of(self.space, self._latency_ms, solved)
        except MatchError as error:
            self.document.fault(("match", "latency_ms"), str(error), "a larger tolerance")
            raise InputError(self.document.faults) from None

    def _latency_ms(self, architecture: Architecture) -> float:
        resources = self.space.file.resources
        if resources.gpus_per_trial and not torch.cuda.is_available():
            raise InputError.of("match.latency_ms", "is measured here, and there is no GPU here")
        device = torch.device("cuda" if resources.gpus_per_trial else "cpu")
        prepare_process(resources.threads)
        network = build_network(architecture)
        return measure_latency(network, architecture.input_shape, device).median_ms

    def _design(self, stage: Stage, arms: tuple[Arm, ...]) -> Design | None:
        file = self.space.file
        section = file.design if stage == "screening" else file.confirm
        if section is None:
            return None
        return Design(arms, design_seeds(file.study.seed, stage, section.seeds))

    def _register(self, driver: Driver, arms: tuple[Arm, ...]) -> None:
        """Write down what is claimed, before the first trial."""
        name = confirmation_name(self.name)
        try:
            confirmed = read_records(self.url, name).trials
        except NoStudy:
            confirmed = ()
        complete = sum(trial.state == "complete" for trial in confirmed)
        results: dict[Stage, int] = {"screening": driver.complete, "confirmation": complete}
        register(driver.study, Plan.of(self.space.file, arms), results)

    def _confirm(self, data: ImageData) -> int:
        """Train what may be the best, and the ends, with seeds that nothing has seen."""
        records = read_records(self.url, self.name)
        name = confirmation_name(self.name)
        try:
            before = read_records(self.url, name).arms
        except NoStudy:
            before = ()
        chosen = arms_to_confirm(records, self.space, records.arms, self.console.print)
        names = {arm.name for arm in chosen}
        arms = chosen + tuple(arm for arm in before if arm.name not in names)
        with self._driving(name, data, self._design("confirmation", arms)) as driver:
            if not driver.over:
                self._run_trials(driver, data, self._load_test(data))
            return self._outcome(driver)

    def _load_test(self, data: ImageData) -> Split:
        """The test split, which nothing else reads."""
        try:
            return load_test(self.space.file.data.config, data)
        except DataError as error:
            self.document.fault(("data", error.field), f"the test split: {error}", error.hint)
            raise InputError(self.document.faults) from None

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

    def _run_trials(self, driver: Driver, data: ImageData, test: Split | None = None) -> None:
        """Run what is left to run.

        Args:
            test: the test split, which confirmation runs are evaluated on.

        Raises:
            KeyboardInterrupt: the search was asked to stop.
        """
        ray_settings.prepare(local=self.ray_address is None)
        from nas import ray_tune  # only now: Ray reads its settings when it is imported

        file = self.space.file
        self.console.print(
            f"{driver.study.study_name}: {self._size(driver)}, "
            f"{len(data.train):,} training and {len(data.validation):,} validation images, "
            f"{self._count(driver)}"
        )
        gpus = file.resources.gpus_per_trial
        job = ray_tune.Job(
            fingerprint=data.summary.fingerprint,
            latency="latency_ms" in file.objective_names,
            outbox=driver.outbox.folder.absolute(),
            # Of a confirmation nobody needs the weights.
            weights=(self.folder / "weights").absolute() if test is None else None,
            threads=file.resources.threads,
            gpu=gpus > 0,
        )
        resources = ray_tune.Resources(file.resources.cpus_per_trial, gpus)
        complete = [t for t in driver.records().trials if t.state == "complete"]
        progress = SearchProgress(
            driver.study.study_name, driver.wanted, tuple(complete), self.quiet
        )
        driver.listener = progress
        try:
            # Ray has a handler for SIGTERM of its own, so ours comes after its start.
            with ray_tune.cluster(self.ray_address), stop_requests() as stopped, progress:
                ray_tune.run(driver, job, data, resources, stopped, test)
        except ray_tune.ResourceError as error:
            option = "--gpus-per-trial" if gpus else "--cpus-per-trial"
            raise InputError.of(option, str(error)) from None

    def _size(self, driver: Driver) -> str:
        if driver.design is None:
            return f"{format_count(self.space.size)} architectures"
        return f"{len(driver.design.arms)} arms with {len(driver.design.seeds)} seeds"

    def _outcome(self, driver: Driver) -> int:
        """Say how a stage ended where that is not as it should; returns the exit status."""
        if driver.hopeless:
            print(
                f"error: {len(driver.failures_in_row)} trials in a row have failed, the last one: "
                f"{driver.failures_in_row[-1]}",
                file=sys.stderr,
            )
        elif driver.exhausted and driver.complete < driver.wanted:
            why = "some runs have failed" if driver.design else _NO_OTHER
            self.console.print(f"{why}: {self._count(driver)}")
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
