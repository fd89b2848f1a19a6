"""Programs of ExecuTorch."""

from __future__ import annotations

import pytest
import torch

from nas.network.exportable import Exportable
from nas.network.formats import quiet_exporters
from nas.network.pte_format import load_pte, write_pte
from nas.network.source import Provenance

pytest.importorskip("executorch", reason="needs executorch")


def test_grey_images_are_taken_as_they_are_normalised(tmp_path):
    """One channel: in memory first and last are the same, and the strides may be of either."""
    network = torch.nn.Conv2d(1, 2, 3, padding=1).eval()
    images = torch.randn(4, 5, 5, 1).permute(0, 3, 1, 2)
    assert images.contiguous().stride() == (25, 1, 5, 1)
    path = tmp_path / "model.pte"
    with quiet_exporters(), torch.inference_mode():
        write_pte(Exportable(network, images.contiguous(), images, Provenance("x")), path)
        run = load_pte(path)
        torch.testing.assert_close(run(images.contiguous()), network(images))
