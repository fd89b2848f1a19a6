"""The ``model.py`` of an exported folder, imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def import_model(folder: Path) -> ModuleType:
    """Run the ``model.py`` in a folder; what it defines."""
    spec = importlib.util.spec_from_file_location("exported_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
