"""A table of all trainings of a small space: searches are compared on it without training."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nas.architecture.cost import Cost, count_cost
from nas.architecture.specification import Architecture
from nas.space import Choice, SearchSpace
from nas.space.errors import InputError, Place, Problem
from nas.space.load import load_space
from nas.statistics.pareto import pareto_front
from nas.study.identity import differences, identity
from trials.atomic_file import atomic_write
from trials.bounded_json import parse_json

STUDIES = Path(__file__).parents[2] / "studies"
"""Published studies of this checkout; an installed package has none."""

SPACE, TABLE = "space.yaml", "trainings.parquet"

TRAIN_IT = "python benchmarks/spectrum_bench.py --data DIR trains it, with CIFAR-10's files in DIR"
TABLES = "tables are in the folder studies/ of a checkout"


@dataclass(frozen=True)
class TabularTraining:
    """One network trained once, with a whole schedule: its rate is annealed to zero at its end.

    Attributes:
        key: of the architecture.
        seed: 0, 1, ...: the replicate.
        accuracy: on the validation images, after the last epoch; None where the training failed.
        test_accuracy: of the same network on the test images; of the longest schedule alone.
        train_losses: mean of each epoch; so are ``validation_losses`` and ``accuracies``.
        seconds: of training, evaluation left out.
        reason: why it failed; empty where it is complete.
    """

    key: str
    epochs: int
    seed: int
    accuracy: float | None
    test_accuracy: float | None
    train_losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class TabularNetwork:
    """A network of the space.

    Attributes:
        choices: by the names of the space's parameters.
    """

    choices: Mapping[str, Choice]
    architecture: Architecture
    cost: Cost

    @property
    def key(self) -> str:
        """Names the architecture."""
        return self.architecture.key

    @property
    def macs(self) -> int:
        """Multiply-accumulates of an image."""
        return self.cost.macs


@dataclass(frozen=True)
class Extent:
    """What a table is of.

    Attributes:
        schedules: epochs of each, shortest first.
        seeds: replicates of each network and schedule.
        about: which images, and where the trainings were made.
    """

    schedules: tuple[int, ...]
    seeds: int
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """Every network of a space, with its trainings.

    Attributes:
        space: that the networks are all of.
        trainings: by key of the architecture, epochs and seed.
    """

    space: SearchSpace
    extent: Extent
    trainings: Mapping[tuple[str, int, int], TabularTraining]

    def __repr__(self) -> str:
        missing = f", {self.missing:,} missing" if self.missing else ""
        networks = f"{len(self.networks)} networks"
        return f"<Benchmark {self.name}: {networks}, {len(self.trainings):,} trainings{missing}>"

    @property
    def name(self) -> str:
        """Of the space."""
        return self.space.file.name

    @cached_property
    def networks(self) -> tuple[TabularNetwork, ...]:
        """Every network of the space, in the order of its choices."""
        found = ((c, self.space.unmatched(c)) for c in self.space.combinations())
        return tuple(TabularNetwork(c, a, count_cost(a)) for c, a in found)

    @property
    def missing(self) -> int:
        """Trainings that the table has not yet."""
        each = len(self.extent.schedules) * self.extent.seeds
        return len(self.networks) * each - len(self.trainings)

    @property
    def full(self) -> int:
        """Epochs of the longest schedule."""
        return self.extent.schedules[-1]

    def look_up(
        self, network: Architecture | Mapping[str, Choice], epochs: int, seed: int
    ) -> TabularTraining:
        """The training of an architecture, or of choices by the parameters' names.

        Raises:
            LookupError: the table has no such training.
        """
        key = network.key if isinstance(network, Architecture) else self._key_of(network)
        training = self.trainings.get((key, epochs, seed))
        if training is None:
            schedules = ", ".join(map(str, self.extent.schedules))
            raise LookupError(
                f"{self.name} has no training of {key} with {epochs} epochs and seed {seed}; "
                f"it is of {len(self.networks)} networks, epochs {schedules} and seeds 0 to "
                f"{self.extent.seeds - 1}, and {self.missing:,} trainings are missing"
            )
        return training

    def mean_accuracy(self, key: str, epochs: int, test: bool = False) -> float:
        """Mean over all seeds, on the validation images or on the test images.

        A training that failed counts as an accuracy of zero.

        Raises:
            LookupError: a training is missing, or was not evaluated on the test images.
        """
        architecture = self.network(key).architecture
        found = [self.look_up(architecture, epochs, seed) for seed in range(self.extent.seeds)]
        if test and any(t.test_accuracy is None and not t.reason for t in found):
            raise LookupError(f"test images were read after {self.full} epochs only; got {epochs}")
        scores = [t.test_accuracy if test else t.accuracy for t in found]
        return float(np.mean([score or 0.0 for score in scores]))

    def seconds(self, key: str, epochs: int) -> float:
        """What a training takes: the network's median seconds per epoch, times the epochs.

        The median of its trainings, for each has waited for whatever else the machine did; zero
        where all of them have failed.
        """
        return self._seconds_per_epoch.get(key, 0.0) * epochs

    @cached_property
    def best_front(self) -> tuple[TabularNetwork, ...]:
        """The non-dominated networks by mean accuracy after the longest schedule, cheapest first.

        Raises:
            LookupError: a training is missing.
        """
        points = [(self.mean_accuracy(n.key, self.full), n.macs) for n in self.networks]
        return tuple(self.networks[index] for index in pareto_front(points))

    def network(self, key: str) -> TabularNetwork:
        """The network of a key.

        Raises:
            KeyError: there is none.
        """
        return self._by_key[key]

    @cached_property
    def _by_key(self) -> dict[str, TabularNetwork]:
        return {network.key: network for network in self.networks}

    @cached_property
    def _seconds_per_epoch(self) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for training in self.trainings.values():
            if not training.reason:
                found.setdefault(training.key, []).append(training.seconds / training.epochs)
        return {key: float(np.median(seconds)) for key, seconds in found.items()}

    def _key_of(self, choices: Mapping[str, Choice]) -> str:
        """By the choices that vary; others of the space may be left out."""
        key = self._key_by_choices.get(self._varying(choices))
        if key is None:
            raise LookupError(f"{self.name} has no network with these choices: {dict(choices)}")
        return key

    @cached_property
    def _key_by_choices(self) -> dict[frozenset[tuple[str, Choice]], str]:
        return {self._varying(network.choices): network.key for network in self.networks}

    def _varying(self, choices: Mapping[str, Choice]) -> frozenset[tuple[str, Choice]]:
        names = {parameter.name for parameter in self.space.parameters}
        return frozenset((name, choice) for name, choice in choices.items() if name in names)


def load_benchmark(benchmark: str | Path) -> Benchmark:
    """A published table, by the name of its folder in ``studies/`` or by the folder.

    Where trainings are missing a warning says how many.

    Raises:
        InputError: there is none, or it is not of the space beside it.
    """
    folder = Path(benchmark) if Path(benchmark).is_dir() else STUDIES / benchmark
    for file in (folder / SPACE, folder / TABLE):
        if not file.is_file():
            hint = TRAIN_IT if file == STUDIES / "spectrum-bench" / TABLE else TABLES
            raise InputError.of("load_benchmark", f"there is no {file}", hint)
    space = load_space(folder / SPACE)
    try:
        table = pq.read_table(folder / TABLE)
        extent, settings = _metadata(table.schema.metadata)
        trainings = [_training(row) for row in table.to_pylist()]
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        message = f"{folder / TABLE} is not a table of trainings: {error}"
        raise InputError.of("load_benchmark", message) from None
    changed = differences(settings, settings_of(space))
    if changed:
        place, rule = Place("load_benchmark"), f"{folder / TABLE} is not of the {SPACE} beside it"
        raise InputError(Problem(place, f"{rule}: {line}") for line in changed)
    found = Benchmark(space, extent, {(t.key, t.epochs, t.seed): t for t in trainings})
    strangers = {t.key for t in trainings} - {network.key for network in found.networks}
    if strangers:
        message = f"{len(strangers)} networks of {folder / TABLE} are not in {folder / SPACE}"
        raise InputError.of("load_benchmark", message)
    if found.missing:
        warnings.warn(f"{found!r}", stacklevel=2)
    return found


def write_benchmark(benchmark: Benchmark, folder: Path) -> None:
    """Write the table beside its space: a row for each training, in the order of the networks."""
    networks = {network.key: network for network in benchmark.networks}
    place = {key: index for index, key in enumerate(networks)}
    trainings = sorted(benchmark.trainings.values(), key=lambda t: (place[t.key], t.epochs, t.seed))
    names = [parameter.name for parameter in benchmark.space.parameters]
    rows = [
        {name: str(networks[t.key].choices.get(name, "")) for name in names}
        | {"macs": networks[t.key].macs, "params": networks[t.key].cost.params}
        | asdict(t)
        for t in trainings
    ]
    table = pa.Table.from_pylist(rows, _schema(names))
    settings = settings_of(benchmark.space)
    metadata = {EXTENT: json.dumps(asdict(benchmark.extent)), SETTINGS: json.dumps(settings)}
    with atomic_write(folder / TABLE) as file:
        pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")


EXTENT, SETTINGS = "extent", "settings"
"""Under which the metadata of the file has them."""


def settings_of(space: SearchSpace) -> dict[str, Any]:
    """What trainings depend on beside their architectures, by dotted names.

    Without where the images lie: a table's ``about`` names these by what they are.
    """
    parts = ("data.", "training.", "study.seed")
    return {name: v for name, v in identity(space.file).items() if name.startswith(parts)}


def _schema(names: Sequence[str]) -> pa.Schema:
    curve = pa.list_(pa.float64())
    columns: dict[str, pa.DataType] = {
        **dict.fromkeys(names, pa.string()),
        "macs": pa.int64(),
        "params": pa.int64(),
        "key": pa.string(),
        "epochs": pa.int32(),
        "seed": pa.int32(),
        "accuracy": pa.float64(),
        "test_accuracy": pa.float64(),
        "train_losses": curve,
        "validation_losses": curve,
        "accuracies": curve,
        "seconds": pa.float64(),
        "reason": pa.string(),
    }
    return pa.schema(list(columns.items()))


def _metadata(metadata: Mapping[bytes, bytes] | None) -> tuple[Extent, dict[str, Any]]:
    texts = ((metadata or {})[name.encode()].decode() for name in (EXTENT, SETTINGS))
    extent, settings = map(parse_json, texts)
    return Extent(tuple(extent["schedules"]), extent["seeds"], extent["about"]), settings


def _training(row: Mapping[str, Any]) -> TabularTraining:
    values = {field.name: row[field.name] for field in fields(TabularTraining)}
    curves = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return TabularTraining(**values | curves)
