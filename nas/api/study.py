"""A study as a person in Python has it: its trials, its front, its networks and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nas.study.location import StudyPlace, locate_study
from nas.study.records import Records, read_records
from nas.study.selection import choose
from nas.study.trial_record import TrialRecord

if TYPE_CHECKING:  # each loads for a second, and is needed for some of this alone
    import pandas as pd
    import plotly.graph_objects as go
    from torch import nn

    from nas.analysis.answer import AnyAnswer
    from nas.analysis.budgets import BudgetsAnswer
    from nas.analysis.results import StudyResults
    from nas.space.claim_section import Ablated


def load_study(study: str | Path, storage: str | None = None) -> Study:
    """A study that was searched before, by its folder or its name under ``runs``.

    Args:
        storage: URL of its database, where that is not SQLite in the folder.

    Raises:
        InputError: there is no such study.
        NoStudy: its database has none of its name.
    """
    found = Study(locate_study(str(study), storage))
    found.reload()
    return found


@dataclass(frozen=True)
class Study:
    """A study on disk or in PostgreSQL. It is read once; `reload` reads it again.

    Trials are named by their number, or as ``knee`` (the best compromise of the front),
    ``accuracy`` or a budget such as ``macs<=300K``.
    """

    place: StudyPlace

    def __repr__(self) -> str:
        complete = sum(trial.state == "complete" for trial in self.trials)
        return f"<Study {self.name}: {complete} complete trials, in {self.folder}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self.place.name

    @property
    def folder(self) -> Path:
        """Where its results are."""
        return self.place.folder

    @cached_property
    def records(self) -> Records:
        """Everything that its database says.

        Raises:
            NoStudy: there is none of its name.
        """
        return read_records(self.place.url, self.place.name)

    @cached_property
    def results(self) -> StudyResults:
        """Every training with its measurement: what a verdict rests on."""
        from nas.analysis.results import read_results

        return read_results(self.place.url, self.place.name, self.records)

    def reload(self) -> None:
        """Read the database again: a search may have added to it."""
        for read in ("records", "results"):
            vars(self).pop(read, None)
        _ = self.records

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """All trials, those that failed or are running too."""
        return self.records.trials

    @property
    def front(self) -> tuple[TrialRecord, ...]:
        """Trials that no other dominates, cheapest first.

        Of a confirmed search by the means of the fresh seeds, among the trials that have some;
        `searched` is what the search had of each.
        """
        return self.records.front

    def best(self, which: str | int = "knee") -> TrialRecord:
        """One complete trial; of a confirmed search one that was confirmed, with its fresh means.

        Raises:
            NoSuchTrial: there is none like that.
        """
        if isinstance(which, int):
            return choose(self.records, trial=which)
        return choose(self.records, which)

    def load(self, which: str | int = "knee") -> nn.Module:
        """The network of a trial with its trained weights, in evaluation mode, on the CPU.

        From images (N, C, H, W), float, normalised by the mean and standard deviation of
        ``study.records.data``, to logits (N, classes).

        Raises:
            NoSuchTrial: there is none like that.
            MissingWeights: they are not in the study's folder.
        """
        from nas.study.trained_network import load_trained

        return load_trained(self.records, self.best(which), self.folder)

    def export(self, output: str | Path, which: str | int = "knee") -> Path:
        """Write the network of a trial as source and weights that need only PyTorch.

        Raises:
            NoSuchTrial: there is none like that.
            ExportError: the files would compute something else than the network.
        """
        from nas.reporting.export_trial import export_trial

        return export_trial(self.records, self.best(which), self.folder, Path(output))

    def dataframe(self) -> pd.DataFrame:
        """One row per trial, one column per choice, objective and cost, and the learning curve.

        Of a range such as ``1..C`` the column has counts; ``C`` is that of the fewest channels.
        """
        import pandas as pd

        climbed = self.records.file.study.fidelity is not None
        is_tuned = self.records.file.tune is not None
        rows = [
            {
                "trial": trial.number,
                "state": trial.state,
                "arm": trial.arm,
                **({"tuned": str(trial.setting)} if is_tuned else {}),
                **dict(trial.choices),
                self.records.score: getattr(trial, self.records.score),
                "macs": trial.macs,
                "params": trial.params,
                **dict(zip(self.records.objectives, trial.values, strict=False)),
                "seconds": trial.seconds,
                **({"rungs": {r.epochs: r.values for r in trial.rungs}} if climbed else {}),
                "curve": list(trial.curve),
                "seeds": list(trial.seeds),
                "key": trial.architecture.key,
                "architecture": trial.architecture.to_json(),
                "reason": trial.reason,
            }
            for trial in self.trials
        ]
        return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame()

    def answer(self, delta: float | None = None, alpha: float | None = None) -> AnyAnswer:
        """The verdict on the study's claim, its arms and controls.

        Args:
            delta: another than planned, as a fraction.
            alpha: another than planned.

        Raises:
            NoVerdict: the study has no plan or no complete training.
        """
        from nas.analysis.answer import answer

        return answer(self.results, delta, alpha)

    @property
    def budgets(self) -> tuple[Study, ...]:
        """The studies of a design of several budgets, each with trials and an answer of its own."""
        return tuple(Study(self.place.at_budget(name)) for name in self.records.file.budget_names)

    def across_budgets(self) -> BudgetsAnswer:
        """The answers of all budgets, and what its arms show at all of them together.

        Raises:
            NoVerdict: none has a complete training.
        """
        from nas.analysis.budgets import answer_budgets, read_budgets

        return answer_budgets(read_budgets(self.place, self.records))

    def plot_front(self) -> go.Figure:
        """Accuracy against cost, the front marked."""
        from nas.reporting import figures

        return figures.plot_front(figures.front_info(self.records, self.results))

    def plot_hypervolume(self) -> go.Figure:
        """Hypervolume of the front over trials."""
        from nas.reporting import figures

        return figures.plot_hypervolume(figures.hypervolume_info(self.records))

    def plot_segments(self) -> go.Figure:
        """Accuracy against segments, block by block."""
        from nas.reporting import figures

        return figures.plot_segments(figures.segments_info(self.records))

    def plot_importance(self) -> go.Figure:
        """Which choices the accuracy depended on (fANOVA)."""
        from nas.reporting import figures
        from nas.study.importances import parameter_importances

        shares = parameter_importances(self.place.url, self.place.name)
        return figures.plot_importance(figures.importance_info(shares, self.records.objectives[0]))

    def plot_curves(self) -> go.Figure:
        """Learning curves of the front."""
        from nas.reporting import figures

        return figures.plot_curves(figures.curves_info(self.records))

    def plot_spectrum(self) -> go.Figure:
        """Accuracy at equal cost along the spectrum: of a design, or of confirmed trials."""
        from nas.reporting import figures

        return figures.plot_spectrum(figures.spectrum_info(self.results))

    def plot_arms(self) -> go.Figure:
        """Learning curves of a design's arms."""
        from nas.reporting import figures

        return figures.plot_arm_curves(figures.arm_curves_info(self.results))

    def plot_attainment(self) -> go.Figure | None:
        """Fronts over seeds of the confirmed trials; None where their cost is equal."""
        from nas.reporting import figures

        info = figures.attainment_info(self.results)
        return None if info is None else figures.plot_attainment(info)

    def plot_ablation(self, axis: Ablated) -> go.Figure | None:
        """A design's residual, activation or order; None where it does not vary."""
        from nas.reporting import figures

        info = figures.ablation_info(self.results, axis)
        return None if info is None else figures.plot_ablation(info)

    def plot_widths(self) -> go.Figure | None:
        """A design's activation by segment width; None where they do not vary."""
        from nas.reporting import figures

        info = figures.widths_info(self.results)
        return None if info is None else figures.plot_widths(info)

    def plot_latency(self) -> go.Figure | None:
        """Latency against MACs by segment width; None where `nas.latency` has measured nothing."""
        from nas.reporting import figures

        info = figures.latency_info(self.records)
        return None if info is None else figures.plot_latency(info)
