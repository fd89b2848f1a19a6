"""A trained network as files that need only PyTorch."""

from nas.export.folder import ExportError, export_network
from nas.export.source import Provenance, model_source

__all__ = ["ExportError", "Provenance", "export_network", "model_source"]
