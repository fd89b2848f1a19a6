"""Write a trained network to a folder, and prove that what was written is the same network."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file
from torch import nn

from nas.architecture import Architecture
from nas.export.source import Provenance, model_source

TOLERANCE = 1e-5


class ExportError(RuntimeError):
    """What was written does not compute what the trained network does."""


def export_network(
    architecture: Architecture,
    network: nn.Module,
    folder: str | Path,
    provenance: Provenance | None = None,
    card: str = "",
) -> Path:
    """Export a trained network.

    Writes ``model.py`` (source that needs only PyTorch), ``weights.safetensors``,
    ``architecture.json`` and ``README.md``.

    Args:
        architecture: of the network.
        network: from `nas.build_network`, with trained weights.
        folder: is made where it does not exist; files of an earlier export are replaced.
        provenance: what the source says of classes, normalisation and origin.
        card: text of the model card.

    Returns:
        The folder.

    Raises:
        ExportError: the files compute something else; then none is written.
    """
    folder = Path(folder)
    provenance = provenance or Provenance(f"Network {architecture.key}")
    with tempfile.TemporaryDirectory(prefix="nas-export-") as scratch:
        draft = Path(scratch)
        (draft / "model.py").write_text(model_source(architecture, provenance))
        module = _import(draft / "model.py")
        save_file(_renamed(network, module.Network()), draft / "weights.safetensors")
        _compare(architecture, network, module.load())
        (draft / "architecture.json").write_text(architecture.to_json() + "\n")
        (draft / "README.md").write_text(card or f"# {provenance.title}\n")
        folder.mkdir(parents=True, exist_ok=True)
        for file in draft.iterdir():
            if file.is_file():
                (folder / file.name).write_bytes(file.read_bytes())
    return folder


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"exported_{abs(hash(path))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
        name: tensor.detach().cpu().contiguous()
        for name, tensor in zip(target, source.values(), strict=True)
    }


@torch.inference_mode()
def _compare(architecture: Architecture, network: nn.Module, exported: nn.Module) -> None:
    images = torch.randn(8, *architecture.input_shape, generator=torch.Generator().manual_seed(0))
    device = next(network.parameters()).device
    expected = network.eval()(images.to(device)).cpu()
    difference = float((exported(images) - expected).abs().max())
    limit = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= limit:
        raise ExportError(f"outputs differ by {difference:.2e}, more than {limit:.0e}")
