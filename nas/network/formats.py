"""Formats that other programs load a trained network from: torch.export's and ONNX."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nas.network.source import Provenance

if TYPE_CHECKING:
    import onnxruntime

Run = Callable[[Tensor], Tensor]
"""What a file computes: from the images that it takes, logits (N, classes)."""


@dataclass(frozen=True)
class Format:
    """How a network is written, and loaded back for comparison.

    Attributes:
        name: as ``--format`` takes it.
        file: that it is written to.
        tolerance: of an output, relative where that is above one; None where outputs may differ,
            and the loss of accuracy is what counts.
        write: a network in evaluation mode, for any number of images like the first; the last are
            images to find the ranges of activations by.
        load: what was written, on one thread of the CPU.
        packages: that have to be there.
        extra: of this project, which has them.
        takes_stored: whether a file takes images as they are stored, (N, H, W, C) uint8; None of a
            format that never does.
        by_default: whether it is written where no format is named.
    """

    name: str
    file: str
    tolerance: float | None
    write: Callable[[nn.Module, Tensor, Path, Provenance, Tensor], None]
    load: Callable[[Path], Run]
    packages: tuple[str, ...] = ()
    extra: str = ""
    takes_stored: Callable[[Path], bool] | None = None
    by_default: bool = True

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that are not installed."""
        return tuple(name for name in self.packages if importlib.util.find_spec(name) is None)


class WithPreprocessing(nn.Module):
    """A network that takes images as they are stored: (N, H, W, C), uint8.

    Args:
        mean: of each channel, in units of 0 to 255.
        std: of each channel, in the same units.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, images: Tensor) -> Tensor:
        normalised = (images.float() - self.mean) / self.std
        logits: Tensor = self.network(normalised.permute(0, 3, 1, 2))
        return logits


def _write_pt2(
    network: nn.Module, images: Tensor, path: Path, provenance: Provenance, _calibration: Tensor
) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, (images,), dynamic_shapes=({0: batch},))
    metadata = {"metadata.json": json.dumps(_metadata(provenance))}
    torch.export.save(program, path, extra_files=metadata)


def _load_pt2(path: Path) -> Run:
    run: Run = torch.export.load(path).module()
    return run


def _write_onnx(
    network: nn.Module, images: Tensor, path: Path, provenance: Provenance, _calibration: Tensor
) -> None:
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(
        network, (images,), dynamo=True, dynamic_shapes=({0: batch},), verbose=False,
        input_names=["images"], output_names=["logits"],
    )  # fmt: skip
    assert program is not None  # as the exporter says where `dynamo` is set
    program.model.metadata_props.update(
        {name: json.dumps(value) for name, value in _metadata(provenance).items()}
    )
    program.save(path, external_data=False)


def _write_int8(
    network: nn.Module, images: Tensor, path: Path, provenance: Provenance, calibration: Tensor
) -> None:
    """Static quantisation of convolutions and the linear head, weights per channel.

    Of these alone: a pool that pads as TensorFlow does takes in minus infinity, and the range of
    that would leave nothing of the others.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Batches(CalibrationDataReader):  # type: ignore[misc]  # it comes without types
        def __init__(self) -> None:
            self.batches = iter(torch.split(calibration, 32))

        def get_next(self) -> dict[str, object] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch.numpy()}

    floats = path.with_name("float.onnx")
    _write_onnx(network, images, floats, provenance, calibration)
    quantize_static(
        floats, path, Batches(), quant_format=QuantFormat.QDQ, per_channel=True,
        op_types_to_quantize=["Conv", "Gemm"],
    )  # fmt: skip
    floats.unlink()


def _load_onnx(path: Path) -> Run:
    session = _onnx_session(path)
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _onnx_takes_stored(path: Path) -> bool:
    (images,) = _onnx_session(path).get_inputs()
    return bool(images.type == "tensor(uint8)")


def _onnx_session(path: Path) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _metadata(provenance: Provenance) -> dict[str, object]:
    """What a program has to know that feeds the network."""
    return {
        "title": provenance.title,
        "classes": provenance.classes,
        "mean": provenance.mean,
        "std": provenance.std,
        "resize": provenance.resize,
    }


FORMATS = {
    format_.name: format_
    for format_ in (
        Format("pt2", "model.pt2", 1e-6, _write_pt2, _load_pt2),
        Format(
            "onnx", "model.onnx", 1e-5, _write_onnx, _load_onnx,
            packages=("onnx", "onnxscript", "onnxruntime"), extra="onnx",
            takes_stored=_onnx_takes_stored,
        ),
        Format(
            "int8", "model.int8.onnx", None, _write_int8, _load_onnx,
            packages=("onnx", "onnxscript", "onnxruntime"), extra="onnx",
            takes_stored=_onnx_takes_stored, by_default=False,
        ),
    )
}  # fmt: skip
"""Beside ``pytorch``, which is `nas.network.source`; by name."""


@dataclass(frozen=True)
class FormatOptions:
    """What is written beside ``model.py``.

    Attributes:
        names: of `FORMATS`.
        with_preprocessing: let ONNX take images as they are stored.
        calibration: training images that int8 finds the ranges of activations by.
        max_loss: of accuracy by int8, in percentage points.
    """

    names: tuple[str, ...] = ()
    with_preprocessing: bool = False
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
