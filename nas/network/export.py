"""Write a trained network to a folder, and prove that what was written is the same network."""

from __future__ import annotations

import copy
import importlib.util
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file
from torch import nn

from nas.architecture.specification import Architecture
from nas.network.source import Provenance, model_source

TOLERANCE = 1e-5

FILES = ("weights.safetensors", "architecture.json", "README.md", "model.py")
"""In the order in which they are replaced: a source comes after the weights that it loads."""


class ExportError(RuntimeError):
    """What was written does not compute what the trained network does."""


def export_network(
    architecture: Architecture,
    network: nn.Module,
    folder: str | Path,
    provenance: Provenance | None = None,
    card: str = "",
) -> Path:
    """Write a trained network's source, weights, architecture and card: `FILES`.

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
        _write(draft / "model.py", model_source(architecture, provenance))
        module = _import(draft / "model.py")
        save_file(
            _renamed(network, module.Network()),
            draft / "weights.safetensors",
            {"architecture": architecture.key},
        )
        _compare(architecture, network, module.load())
        _write(draft / "architecture.json", architecture.to_json() + "\n")
        _write(draft / "README.md", card or f"# {provenance.title}\n")
        folder.mkdir(parents=True, exist_ok=True)
        _replace(draft, folder)
    return folder


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _replace(draft: Path, folder: Path) -> None:
    """Move the files into place; each is whole, the old one or the new one, at any time."""
    for name in FILES:
        shutil.copyfile(draft / name, folder / f"{name}.partial")
    for name in FILES:
        (folder / f"{name}.partial").replace(folder / name)


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("exported", path)
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
        name: _as_exported(tensor) for name, tensor in zip(target, source.values(), strict=True)
    }


def _as_exported(tensor: torch.Tensor) -> torch.Tensor:
    """On the CPU and, if it holds fractions, in float32."""
    tensor = tensor.detach().cpu().contiguous()
    return tensor.float() if tensor.is_floating_point() else tensor


@torch.inference_mode()
def _compare(architecture: Architecture, network: nn.Module, exported: nn.Module) -> None:
    """Let both compute the same images.

    A copy of the network does so on the CPU: a GPU rounds otherwise (TF32), and the caller's
    network stays where it is, in the mode it is in.
    """
    images = torch.randn(8, *architecture.input_shape, generator=torch.Generator().manual_seed(0))
    expected = copy.deepcopy(network).cpu().float().eval()(images)
    difference = float((exported(images) - expected).abs().max())
    limit = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= limit:
        raise ExportError(f"outputs differ by {difference:.2e}, more than {limit:.0e}")
