"""Formats that other programs load a trained network from, by name."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from nas.architecture.modules import Shape
from nas.architecture.specification import ArchitectureError
from nas.network.exportable import Exportable, Run
from nas.network.int4_format import load_int4, write_int4
from nas.network.onnx_format import (
    architecture_of,
    load_onnx,
    takes_stored,
    write_int8,
    write_onnx,
)
from nas.network.pte_format import load_pte, write_pte


@dataclass(frozen=True)
class Format:
    """How a network is written, and loaded back for comparison.

    Attributes:
        name: as ``--format`` takes it.
        file: that it is written to.
        tolerance: of an output, relative where that is above one; None where outputs may differ,
            and the loss of accuracy is what counts.
        write: to a path, with ``model.py`` and its weights beside it.
        load: what was written, for so many threads of the CPU where the runtime has threads of its
            own; PyTorch's are the process's.
        packages: that have to be there.
        extra: of this project, which has them.
        takes_stored: whether a file takes images as they are stored, (N, H, W, C) uint8; None of a
            format that never does.
        architecture: the key that a file names, empty where it names none; None of a format that
            never does, or sees to it itself.
        by_default: whether it is written where no format is named.
        of_clips: whether its runtime has the layers of networks of clips.
        note: what the model card says of it.
    """

    name: str
    file: str
    tolerance: float | None
    write: Callable[[Exportable, Path], None]
    load: Callable[[Path, int], Run]
    packages: tuple[str, ...] = ()
    extra: str = ""
    takes_stored: Callable[[Path], bool] | None = None
    architecture: Callable[[Path], str] | None = None
    by_default: bool = True
    of_clips: bool = True
    note: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that are not installed."""
        return tuple(name for name in self.packages if importlib.util.find_spec(name) is None)


_METADATA = "metadata.json"


def _write_pt2(exportable: Exportable, path: Path) -> None:
    batch = torch.export.Dim("batch")
    images = exportable.images
    program = torch.export.export(exportable.network, (images,), dynamic_shapes=({0: batch},))
    metadata = exportable.provenance.metadata
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # of this machine's files
    torch.export.save(program, path, extra_files={_METADATA: json.dumps(metadata)})


def _load_pt2(path: Path, _threads: int = 1) -> Run:
    run: Run = torch.export.load(path).module()
    return run


def _architecture_of_pt2(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(f"/extra/{_METADATA}"))
        return str(json.loads(archive.read(name)).get("architecture", ""))


FORMATS = {
    format_.name: format_
    for format_ in (
        Format(
            "pt2", "model.pt2", 1e-6, _write_pt2, _load_pt2, architecture=_architecture_of_pt2
        ),
        Format(
            "onnx", "model.onnx", 1e-5, write_onnx, load_onnx,
            packages=("onnx", "onnxscript", "onnxruntime"), extra="onnx", takes_stored=takes_stored,
            architecture=architecture_of,
        ),
        Format(
            "int8", "model.int8.onnx", None, write_int8, load_onnx,
            packages=("onnx", "onnxscript", "onnxruntime"), extra="onnx", takes_stored=takes_stored,
            architecture=architecture_of, by_default=False,
        ),
        Format(
            "pte", "model.pte", 1e-5, write_pte, load_pte,
            packages=("executorch",), extra="mobile", by_default=False, of_clips=False,
            note="takes one image at once",
        ),
        Format(
            "int4", "model.int4.safetensors", None, write_int4, load_int4, by_default=False,
            note="stores weights in 4 bits, and `load(\"model.int4.safetensors\")` computes with "
            "them in float32: it is smaller, not faster",
        ),
    )
}  # fmt: skip
"""Beside ``pytorch``, which is `nas.network.source`; by name."""


def check_formats(names: Iterable[str], input_shape: Shape) -> None:
    """Refuse a format that has no layers for a network of clips.

    Raises:
        ArchitectureError: there is one.
    """
    for name in names:
        if len(input_shape) == 4 and not FORMATS[name].of_clips:
            known = ", ".join(other for other in FORMATS if FORMATS[other].of_clips)
            message = f"{name} has no layers for clips, which the network takes; {known} have"
            raise ArchitectureError(message)


@dataclass(frozen=True)
class FormatOptions:
    """What is written beside ``model.py``.

    Attributes:
        names: of `FORMATS`.
        with_preprocessing: let ONNX take images as they are stored.
        with_features: let ONNX return feature maps, too.
        calibration: training images that int8 finds the ranges of activations by.
        max_loss: of accuracy by int8 and int4, in percentage points.
    """

    names: tuple[str, ...] = ()
    with_preprocessing: bool = False
    with_features: bool = False
    calibration: int = 512
    max_loss: float = 1.0


SOURCE_ALONE = FormatOptions()
"""Nothing beside ``model.py``."""


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """PyTorch's exporters speak of packages that nobody asked for, and of their own future."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
