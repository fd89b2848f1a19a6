"""The folder that every case begins in: studies, an export, published results, pictures."""

from __future__ import annotations

import json
import sqlite3
from contextlib import chdir, closing
from pathlib import Path

import numpy as np
from PIL import Image
from sqlalchemy.engine import make_url

from nas.engine.halving_driver import driver_for
from nas.network.export import export_network
from nas.network.keras_layers import keras_layers
from nas.network.keras_presets import keras_architecture
from nas.network.keras_writing import write_weights
from nas.space.load import build_space, read_document
from nas.study.storage import quiet_optuna
from tests.nas.driving import measured
from tests.nas.exporting import SMALL, with_statistics
from tests.nas.planting import planted_results, publish
from trials.data import load

SPACE = """\
name: small
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 6}
  blocks:
    - {channels: 6}
    - {channels: 9, stride: 2}
search: {segments: [1, 2, C], activation: [none, relu], order: [spatial_first, plain]}
training: {epochs: 2, batch_size: 16}
study: {trials: 6, sampler: random}
"""
ENVIRONMENT = {
    "date": "2026-01-01T00:00:00+00:00", "python": "3.11", "platform": "Linux", "processor": "a",
    "cores": 2, "gpus": [], "commit": None, "versions": {"torch": "2.13.0", "ray": None},
    "command": "python -m nas.search --space space.yaml",
}  # fmt: skip

KERAS_PRESET = "mobilenet:classes=4,image_size=32,width=0.05"

IDENTITY = "0f" * 16
"""Of both studies, in place of random digits: every case has the same bytes whenever it is made."""


def make_ground(folder: Path) -> None:
    """Make it, without training anything."""
    quiet_optuna()
    folder.mkdir(parents=True)
    with chdir(folder):
        Path("space.yaml").write_text(SPACE)
        Path("waiting.yaml").write_text(SPACE.replace("small", "waiting"))
        _study("space.yaml", unfinished=0)
        _study("waiting.yaml", unfinished=2)
        Path("architecture.json").write_text(SMALL.to_json())
        export_network(SMALL, with_statistics(SMALL), Path("best"))
        keras = with_statistics(keras_architecture(KERAS_PRESET))
        write_weights(Path("small.weights.h5"), keras_layers(keras), convolution_head=True)
        Path("pictures").mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save("pictures/a.png")
        Image.fromarray(pixels).save("pictures/b.jpg")
        np.savez("pickled.npz", images=np.array([_Executed()], dtype=object))
        publish(planted_results({}), Path("published"))
        Path("planted.yaml").unlink(missing_ok=True)  # none where a test had planted them before


class _Executed:
    """What runs a command where a pickle of it is read."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        from tests.fuzz.hostile import MARK

        return Path.touch, (Path(MARK),)


def _study(file: str, unfinished: int) -> None:
    """A study as a search leaves it; of one that was killed the last results are in the outbox."""
    document = read_document(file)
    space = build_space(document)
    folder = Path("runs", space.file.name)
    (folder / "outbox").mkdir(parents=True)
    data = load(space.file.data.config).summary
    url = make_url(f"sqlite:///{folder / 'study.db'}")
    driver = driver_for(space, None).open(url, space.file.name, space, data, folder / "outbox")
    finished = space.file.study.trials - unfinished
    for number in range(space.file.study.trials):
        spec = driver.next()
        assert spec is not None
        if number < finished:
            driver.record(spec.trial, measured(driver, spec))
        else:
            driver.outbox.put(spec.trial, measured(driver, spec))
    if driver.outbox.folder.is_dir():
        driver.outbox.folder.rename(folder / "outbox" / IDENTITY)
    _copy_database(folder / "study.db")  # of a driver that nobody closes, as of one that was killed
    (folder / "space.yaml").write_text(Path(file).read_text())
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))


def _copy_database(file: Path) -> None:
    """As it is, with what differs from time to time made the same: its bytes are those of cases."""
    copy = file.with_suffix(".copy")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM INTO ?", [str(copy)])
    with closing(sqlite3.connect(copy)) as connection, connection:
        for column in ("datetime_start", "datetime_complete"):
            when = "2026-01-01 00:00:00.000000"
            connection.execute(f"UPDATE trials SET {column} = ? WHERE {column} NOT NULL", [when])
        connection.execute(
            "UPDATE study_user_attributes SET value_json = ? WHERE key = 'id'",
            [json.dumps(IDENTITY)],
        )
    for part in file.parent.glob("study.db*"):
        part.unlink()
    copy.rename(file)
