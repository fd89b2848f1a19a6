"""Write a trained network to a folder, and prove that what was written is the same network."""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file
from torch import nn

from nas.architecture.drawing import draw_architecture
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.network.comparison import (
    BATCHES,
    ExportedFile,
    ExportError,
    Samples,
    TooMuchLost,
    compare,
    confusion_of,
    latencies_of,
    loss_of,
    precisions_of,
    score_of,
)
from nas.network.confusion_file import CONFUSION_FILE, KeptConfusion
from nas.network.exportable import LOGITS, Exportable, Run, WithFeatures, WithPreprocessing, joined
from nas.network.exported_module import import_model
from nas.network.formats import (
    FORMATS,
    SOURCE_ALONE,
    Format,
    FormatOptions,
    check_formats,
    quiet_exporters,
)
from nas.network.onnx_format import load_outputs
from nas.network.scratch import scratch_folder
from nas.network.source import Provenance, model_source
from trials.layout import layout_of

TOLERANCE = 1e-5

FILES = ("weights.safetensors", "architecture.json", "architecture.svg", "README.md", "model.py")
"""Files of an export, in the order in which they are replaced: a source comes after the weights it
loads."""

_OF_ARCHITECTURES = ("architecture.json", "architecture.svg")
"""Those of `FILES` that a reference, which has no blocks, does not have."""

Card = Callable[[Sequence[ExportedFile]], str]
"""The text of a model card, of the files that were compared."""


def export_network(
    architecture: Architecture | Reference,
    network: nn.Module,
    folder: str | Path,
    provenance: Provenance | None = None,
    card: str | Card = "",
    formats: FormatOptions = SOURCE_ALONE,
    samples: Samples | None = None,
) -> Path:
    """Write a trained network's source, weights, architecture, drawing and card: `FILES`.

    Args:
        architecture: or a reference, of which there is no architecture and no drawing.
        network: from `nas.build_network`, with trained weights.
        folder: is made where it does not exist; an earlier export in it is replaced.
        provenance: what the source says of classes, normalisation and origin.
        card: text of the model card, or what makes it of the files that were compared.
        formats: that are written, too.
        samples: real images to compare them on; noise where there are none. Of labelled ones what
            they are taken for is kept (`nas.network.confusion_file`).

    Raises:
        ArchitectureError: a format has no layers for clips, which the network takes.
        ExportError: a file computes something else; then none is written.
    """
    check_formats(formats.names, architecture.input_shape)
    folder, key = Path(folder), architecture.key
    provenance = replace(provenance or Provenance(f"Network {key}"), architecture=key)
    with scratch_folder("nas-export-") as draft:
        model, exported = _write_source(draft, architecture, network, provenance)
        files: list[ExportedFile] = []
        if formats.names or samples:
            trained, samples = _on_cpu(network), samples or _noise(architecture, provenance)
            compared = _Comparison(draft, model, exported, trained, samples, provenance, formats)
            files = compared.files()
            _keep_confusion(draft, architecture, provenance, files[0])
        text = card if isinstance(card, str) else card(files)
        _write(draft / "README.md", text or f"# {provenance.title}\n")
        _replace(draft, folder)
    return folder


def _write_source(
    draft: Path, architecture: Architecture | Reference, network: nn.Module, provenance: Provenance
) -> tuple[ModuleType, nn.Module]:
    """Write ``model.py`` with its weights; returns it with what it loads, which was compared."""
    _write(draft / "model.py", model_source(architecture, provenance))
    module = import_model(draft)
    save_file(
        _renamed(network, module.Network()),
        draft / "weights.safetensors",
        {"architecture": architecture.key},
    )
    exported: nn.Module = module.load()
    _compare(architecture, network, exported)
    if isinstance(architecture, Architecture):  # a reference is no point of the spectrum
        _write(draft / "architecture.json", architecture.to_json() + "\n")
        _write(draft / "architecture.svg", draw_architecture(architecture) + "\n")
    return module, exported


def _keep_confusion(
    draft: Path,
    architecture: Architecture | Reference,
    provenance: Provenance,
    source: ExportedFile,
) -> None:
    """What the network takes labelled images for, as a file."""
    if source.confusion:
        names = provenance.classes or tuple(map(str, range(architecture.classes)))
        KeptConfusion(architecture.key, names, source.confusion).write(draft)


def _noise(architecture: Architecture | Reference, provenance: Provenance) -> Samples:
    channels = architecture.input_shape[0]
    mean = torch.tensor(provenance.mean or (0.0,) * channels)
    std = torch.tensor(provenance.std or (1.0,) * channels)
    return Samples.random(architecture.input_shape, mean, std)


@dataclass(frozen=True)
class _Comparison:
    """Files of a draft against the trained network.

    Attributes:
        model: the module ``model.py``.
        exported: what it loads.
    """

    draft: Path
    model: ModuleType
    exported: nn.Module
    trained: Run
    samples: Samples
    provenance: Provenance
    options: FormatOptions

    def files(self) -> list[ExportedFile]:
        """``model.py`` and the formats, timed in turn where there are any."""
        source = self.source()
        if not self.options.names:
            return [source]
        judged = [self.file(FORMATS[name]) for name in self.options.names]
        files, passes = [source, *(file for file, _ in judged)], [one for _, one in judged]
        latencies = latencies_of([self._one_image(self.exported, raw=False), *passes])
        return [
            replace(file, latency_ms=latency)
            for file, latency in zip(files, latencies, strict=True)
        ]

    def source(self) -> ExportedFile:
        """What there is to say of ``model.py`` and its weights."""
        self._compare_images()
        size = sum((self.draft / n).stat().st_size for n in ("model.py", "weights.safetensors"))
        judged = ExportedFile("pytorch", "model.py", size, 0.0, None)
        if self.options.names:  # there are others to compare it with
            judged = self._judged("pytorch", "model.py", size, self.exported, TOLERANCE, raw=False)
        classes = len(self.model.CLASSES)
        return replace(
            judged,
            confusion=confusion_of(self.exported, self.samples, classes),
            precisions=precisions_of(self.exported, self.samples),
        )

    def _compare_images(self) -> None:
        """Whether ``model.py`` makes the network's input of images as the training did."""
        images, model = self.samples.first(BATCHES[-1]), self.model
        expected = self.samples.normalised(images)
        difference = float((model.preprocess(images) - expected).abs().max())
        if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
            raise ExportError(f"model.py: preprocessed images differ by {difference:.2e}")
        classes = self.provenance.classes or tuple(map(str, range(len(model.CLASSES))))
        if tuple(model.CLASSES) != classes:
            raise ExportError("model.py: CLASSES are not those of the training")
        if self.provenance.resize != model.RESIZE:
            raise ExportError("model.py: RESIZE is not that of the training")

    def file(self, format_: Format) -> tuple[ExportedFile, Callable[[], object]]:
        """Write a format, load it back and compare it; and a pass over one image."""
        if format_.tolerance is None and self.samples.labels is None:
            raise ExportError(f"{format_.file}: there are no labelled images to judge it by")
        onnx = format_.takes_stored is not None  # the options are of ONNX alone
        raw = self.options.with_preprocessing and onnx
        path = self.draft / format_.file
        exportable = self._exportable(raw, self.options.with_features and onnx)
        with quiet_exporters():
            format_.write(exportable, path)
            run = format_.load(path, 1)
        size = path.stat().st_size
        judged = self._judged(format_.name, format_.file, size, run, format_.tolerance, raw)
        if len(exportable.outputs) > 1 and format_.tolerance is not None:
            self._compare_features(path, format_.tolerance, raw)
        return judged, self._one_image(run, raw)

    def _one_image(self, run: Run, raw: bool) -> Callable[[], object]:
        """A pass; of ``model.py`` in the layout in which networks are trained and measured."""
        images = self.samples.first(1)
        images = images if raw else self.samples.normalised(images)
        if isinstance(run, self.model.Network):
            layout = layout_of(run)
            run = copy.deepcopy(run).to(memory_format=layout)
            images = images.contiguous(memory_format=layout)
        return lambda: run(images)

    def _exportable(self, raw: bool, features: bool) -> Exportable:
        network, samples = self.exported, self.samples
        calibration = samples.calibration
        images = torch.zeros(4, *samples.images.shape[1:], dtype=torch.uint8)  # nobody's picture
        outputs: tuple[str, ...] = (LOGITS,)
        provenance = self.provenance
        if features:
            network = WithFeatures(network).eval()
            outputs += tuple(name for name, _channels, _stride in self.model.FEATURES)
        if raw:
            network = WithPreprocessing(network, samples.mean, samples.std).eval()
            provenance = replace(provenance, mean=(), std=())  # nobody is to do it twice
        else:
            images, calibration = samples.normalised(images), samples.normalised(calibration)
        return Exportable(network, images, calibration, provenance, outputs)

    def _compare_features(self, path: Path, tolerance: float, raw: bool) -> None:
        expected = WithFeatures(self.exported).eval()
        run = load_outputs(path)
        try:
            compare(run, lambda images: joined(expected(images)), self.samples, tolerance, raw)
        except ExportError as error:
            raise ExportError(f"{path.name}, feature maps: {error}") from None

    def _judged(
        self, name: str, file: str, size: int, run: Run, tolerance: float | None, raw: bool
    ) -> ExportedFile:
        samples, loss = self.samples, None
        if tolerance is None:
            loss = loss_of(run, self.trained, samples, raw)
            if loss.points > self.options.max_loss:
                raise TooMuchLost(
                    f"{file} loses {loss.points:.2f} percentage points of {samples.score} on "
                    f"{loss.images:,} images, more than {self.options.max_loss:g}"
                )
        try:
            deviation = compare(run, self.trained, samples, tolerance or math.inf, raw)
        except ExportError as error:
            raise ExportError(f"{file}: {error}") from None
        return ExportedFile(name, file, size, deviation, score_of(run, samples, raw), loss=loss)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _replace(draft: Path, folder: Path) -> None:
    """Move the files into place; each is whole, the old one or the new one, at any time.

    What else an earlier export wrote and this one does not is of another network: it goes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optional = [CONFUSION_FILE, *(format_.file for format_ in FORMATS.values())]
    names = [name for name in (*optional, *FILES) if (draft / name).exists()]
    for name in names:
        shutil.copyfile(draft / name, folder / f"{name}.partial")
    for name in (*optional, *_OF_ARCHITECTURES):
        if name not in names:
            (folder / name).unlink(missing_ok=True)
    for name in names:
        (folder / f"{name}.partial").replace(folder / name)


def _renamed(network: nn.Module, exported: nn.Module) -> dict[str, torch.Tensor]:
    """The network's state under the exported module's names: both list their layers in one order.

    Raises:
        ExportError: they do not.
    """
    source = network.state_dict()
    target = exported.state_dict()
    if [tuple(t.shape) for t in source.values()] != [tuple(t.shape) for t in target.values()]:
        raise ExportError("the exported source has other layers than the network")
    return {
        name: _as_exported(tensor) for name, tensor in zip(target, source.values(), strict=True)
    }


def _as_exported(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor on the CPU and, if it holds fractions, in float32."""
    tensor = tensor.detach().cpu().contiguous()
    return tensor.float() if tensor.is_floating_point() else tensor


def _on_cpu(network: nn.Module) -> nn.Module:
    """A copy in float32, in evaluation mode: a GPU rounds otherwise (TF32).

    The caller's network stays where it is, in the mode it is in.
    """
    return copy.deepcopy(network).cpu().float().eval()


@torch.inference_mode()
def _compare(
    architecture: Architecture | Reference, network: nn.Module, exported: nn.Module
) -> None:
    """Let both compute the same images."""
    images = torch.randn(8, *architecture.input_shape, generator=torch.Generator().manual_seed(0))
    expected = _on_cpu(network)(images)
    difference = float((exported(images) - expected).abs().max())
    limit = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= limit:
        raise ExportError(f"outputs differ by {difference:.2e}, more than {limit:.0e}")
