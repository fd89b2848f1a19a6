"""A network as ONNX, in float32 and quantised to 8 bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nas.network.exportable import LOGITS, Exportable, Run, joined

if TYPE_CHECKING:
    import onnxruntime


def write_onnx(exportable: Exportable, path: Path) -> None:
    """For any number of images, with what a program has to know of them as metadata."""
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(
        exportable.network, (exportable.images,), dynamo=True, dynamic_shapes=({0: batch},),
        verbose=False, input_names=["images"], output_names=exportable.outputs,
    )  # fmt: skip
    assert program is not None  # as the exporter says where `dynamo` is set
    for node in program.model.graph.all_nodes():  # they have stack traces, of this machine's files
        node.metadata_props.clear()
    program.model.metadata_props.update(
        {name: json.dumps(value) for name, value in exportable.provenance.metadata.items()}
    )
    program.save(path, external_data=False)


def write_int8(exportable: Exportable, path: Path) -> None:
    """Static quantisation of convolutions and the linear head, weights per channel.

    Of these alone: a pool that pads as TensorFlow does takes in minus infinity, and the range of
    that would leave nothing of the others.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Batches(CalibrationDataReader):  # type: ignore[misc]  # it comes without types
        def __init__(self) -> None:
            self.batches = iter(torch.split(exportable.calibration, 32))

        def get_next(self) -> dict[str, object] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch.numpy()}

    floats = path.with_name("model.onnx")
    is_kept = floats.exists()  # it was asked for, too
    if not is_kept:
        write_onnx(exportable, floats)
    quantize_static(
        floats, path, Batches(), quant_format=QuantFormat.QDQ, per_channel=True,
        op_types_to_quantize=["Conv", "Gemm"],
        reduce_range=True,  # weights of 7 bits: processors without VNNI add two products in 16
    )  # fmt: skip
    if not is_kept:
        floats.unlink()


def load_onnx(path: Path, threads: int = 1) -> Run:
    """The logits, whatever other outputs the file has."""
    session = _session(path, threads)
    return lambda images: torch.from_numpy(session.run([LOGITS], {"images": images.numpy()})[0])


def load_outputs(path: Path) -> Run:
    """All outputs side by side, (N, values)."""
    session = _session(path, 1)

    def run(images: Tensor) -> Tensor:
        outputs = session.run(None, {"images": images.numpy()})
        return joined([torch.from_numpy(output) for output in outputs])

    return run


def takes_stored(path: Path) -> bool:
    """Whether a file takes images as they are stored, (N, H, W, C) uint8."""
    (images,) = _session(path, 1).get_inputs()
    return bool(images.type == "tensor(uint8)")


def architecture_of(path: Path) -> str:
    """The key of its architecture, empty where the file does not name it."""
    metadata = _session(path, 1).get_modelmeta().custom_metadata_map
    return str(json.loads(metadata.get("architecture", '""')))


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
