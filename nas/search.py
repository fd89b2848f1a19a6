"""Search a space: ``python -m nas.search --space search_spaces/spectrum.yaml``.

The same command again resumes the study, whatever ended it.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from nas.architecture.matching import MatchError
from nas.architecture.specification import Architecture
from nas.cli import cli_errors, command
from nas.engine.driver import Driver
from nas.engine.environment import describe_environment
from nas.engine.lock import DriverLock
from nas.engine.stage import INTERRUPTED, TrialRunner
from nas.network.build import build_network
from nas.reporting.arm_table import arm_table
from nas.space import SearchSpace
from nas.space.errors import InputError
from nas.space.load import build_space, read_document
from nas.space.quantities import format_count
from nas.space.yaml_document import Document, dump_yaml
from nas.study.confirmation import arms_to_confirm
from nas.study.design import Arm, Design, Stage, arms_of, design_seeds
from nas.study.location import RUNS, shown_url, storage_url, study_in
from nas.study.plan import Plan, register
from nas.study.records import (
    NoStudy,
    confirmation_name,
    parameter_importances,
    quiet_optuna,
    read_records,
)
from nas.study.selection import choose
from trials.atomic_file import atomic_write_text
from trials.data import ImageData
from trials.measure import measure_latency
from trials.trial import prepare_process

app = command()


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
    with cli_errors():
        document = read_document(space, overrides or (), options)
        planned = isinstance(document.value, dict) and document.value.get("design")
        if controls and planned == {"controls": True}:
            hint = "add design: {seeds: 5} to it"
            raise InputError.of("--controls", f"adds arms to a design, and {space} has none", hint)
        run = SearchRun(document, build_space(document), storage, output, ray_address, quiet)
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
        self.runner = TrialRunner(document, space, self.folder, self.url, ray_address, quiet)
        self.console = self.runner.console

    def __call__(self) -> int:
        """Search; returns the exit status."""
        quiet_optuna()
        self._claim_folder()
        try:
            with DriverLock(self.url, self.name):
                return self._search(self.runner.load_data())
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
        with self.runner.driving(self.name, data, self._design("screening", arms)) as driver:
            self._write_inputs(data)
            self._register(driver, arms)
            if driver.design is not None and not driver.finished:
                self.console.print(arm_table(arms, self.space.file.matched))
            if not driver.finished:
                self.runner.run(driver, data)
            status, complete = self.runner.outcome(driver), driver.complete
        try:
            if status == 0 and self.space.file.confirm is not None:
                status = self._confirm(data)
        except Exception:  # such as a missing test split: what was found before stays found
            self._write_results()
            raise
        if complete:
            self._write_results()
        return status

    def _arms(self) -> tuple[Arm, ...]:
        """Of the design, their widths solved; those of an earlier run as they were."""
        if self.space.file.design is None:
            return ()
        matched = self.space.file.matched
        if matched is None or matched.cost != "latency_ms":
            return arms_of(self.space)
        try:
            solved = read_records(self.url, self.name).arms
        except NoStudy:
            solved = ()
        try:
            with self.console.status("measuring latencies"):
                return arms_of(self.space, self._latency_ms, solved)
        except MatchError as error:
            self.document.add_problem(("match", "latency_ms"), str(error), "a larger tolerance")
            raise InputError(self.document.problems) from None

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
        return Design(arms, design_seeds(self.name, file.study.seed, stage, section.seeds))

    def _register(self, driver: Driver, arms: tuple[Arm, ...]) -> None:
        """Write down what is claimed, before the first trial."""
        records = read_records(self.url, self.name)
        results: dict[Stage, int] = {
            "screening": records.ended,
            "confirmation": records.confirmation.ended if records.confirmation else 0,
        }
        plan = Plan.of(self.space, arms)
        register(driver.study, plan, results)
        if not driver.finished:
            for line in plan.unreachable_verdicts():
                self.console.print(f"note: {line}")

    def _confirm(self, data: ImageData) -> int:
        """Train what may be the best, and the ends, with seeds that nothing has seen."""
        records = read_records(self.url, self.name)
        before = records.confirmation.arms if records.confirmation else ()
        chosen = arms_to_confirm(records, self.space, records.arms, self.console.print)
        if not chosen:
            return 0
        there = {(arm.name, arm.architecture) for arm in chosen}
        arms = chosen + tuple(a for a in before if (a.name, a.architecture) not in there)
        name, design = confirmation_name(self.name), self._design("confirmation", arms)
        with self.runner.driving(name, data, design) as driver:
            if not driver.finished:
                # Nothing else reads the test split; nobody needs the weights.
                self.runner.run(driver, data, self.runner.load_test(data), keep_weights=False)
            return self.runner.outcome(driver)

    def _write_inputs(self, data: ImageData) -> None:
        """What was searched and where, so that the folder explains itself."""
        note = f"# As searched: {self.document.source} with all options applied.\n"
        text = note + dump_yaml(self.document.value)
        atomic_write_text(self.folder / "space.yaml", text)
        resources = self.space.file.resources
        environment = describe_environment() | {
            "command": self._command(),
            "storage": shown_url(self.url),
            "data": data.summary.fingerprint,
            "threads_per_trial": resources.threads,
            "device": "cuda" if resources.gpus_per_trial else "cpu",
        }
        atomic_write_text(
            self.folder / "environment.json", json.dumps(environment, indent=2) + "\n"
        )

    def _write_results(self) -> None:
        """Front, report, dashboard and the exported knee."""
        # Plotly, fANOVA and the dashboard load for a second: only once there is something to show.
        from nas.analysis.results import read_results
        from nas.reporting.answer_text import headline
        from nas.reporting.dashboard import publish
        from nas.reporting.export_trial import export_trial
        from nas.reporting.figures.files import NO_RENDERER, write_images
        from nas.reporting.page import answer_of, write_report

        records = read_records(self.url, self.name)
        importances = parameter_importances(self.url, self.name)
        results = read_results(self.url, self.name)
        found = answer_of(results)
        drawn = write_report(records, importances, results, found, self.folder)
        publish(self.url, records, drawn)
        best = choose(records)
        export_trial(records, best, self.folder, self.folder / "best", self.console.print)
        self.console.print(
            f"front of {len(records.front)}; its knee, trial {best.number} with accuracy "
            f"{best.accuracy:.4f} at {format_count(best.macs)} MACs, is in {self.folder / 'best'}\n"
            f"report: {self.folder / 'report.html'}\n"
            f"dashboard: optuna-dashboard {shown_url(self.url)}"
        )
        if found is not None:
            self.console.print(headline(found))
            if not write_images(drawn, self.folder / "figures"):
                self.console.print(NO_RENDERER)

    def _command(self) -> str:
        """The command of this run, to be run again; without the password of a database."""
        url = shown_url(self.url)
        shown = {self.storage: url, f"--storage={self.storage}": f"--storage={url}"}
        arguments = (shown.get(argument, argument) for argument in sys.argv[1:])
        return f"python -m nas.search {shlex.join(arguments)}"


if __name__ == "__main__":
    app()
