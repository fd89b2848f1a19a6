"""`nas-explain`: it computes Grad-CAM, finds what was planted, and writes a page of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from nas import Architecture, Block, SpectrumPoint, Stem, build_network, export_network
from nas.network.exported_model import ExportedModel
from nas.network.source import Provenance
from tests.nas.commands import run

pytest.importorskip("captum")

from nas.explain import app
from nas.network.explanation import Explainer, class_activation

CLASSES = ("no <square>", "square")
SIDE, SQUARE, CELL = 32, 8, 4
NETWORK = Architecture(
    (1, SIDE, SIDE), 2, Stem((8,), stride=2), (Block((16,), SpectrumPoint(2, "relu"), stride=2),)
)


def images(count: int, seed: int):
    """Noise (N, H, W, 1), uint8, every second image with a bright square; labels; its corners."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 120, (count, SIDE, SIDE, 1), generator=generator, dtype=torch.uint8)
    corners = torch.randint(0, SIDE - SQUARE, (count, 2), generator=generator)
    labels = torch.arange(count) % 2
    for image, (top, left), label in zip(pixels, corners.tolist(), labels, strict=True):
        if label:
            image[top : top + SQUARE, left : left + SQUARE] += 120
    return pixels, labels, corners


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The export of a network that was trained to tell whether there is a square."""
    torch.manual_seed(0)
    network = build_network(NETWORK).train()
    pixels, labels, _ = images(64, seed=0)
    x = ((pixels.float() - 60) / 40).permute(0, 3, 1, 2)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("model") / "best"
    provenance = Provenance("x", classes=CLASSES, mean=(60.0,), std=(40.0,))
    return export_network(NETWORK, network, folder, provenance)


def test_a_planted_square_is_found(model):
    """In at least 95 of 100 pictures the map is largest where it touches the square."""
    pixels, _, corners = images(200, seed=1)
    files = [Path(f"{index}.png") for index in range(1, 200, 2)]
    for file in files:
        Image.fromarray(pixels[int(file.stem), ..., 0].numpy()).save(file)
    found = list(Explainer(ExportedModel(model)).explain(files))
    assert sum(explanation.predicted == "square" for explanation in found) >= 95
    hits = 0
    for explanation, (top, left) in zip(found, corners[1::2].tolist(), strict=True):
        row, column = (
            CELL * (place // CELL) for place in divmod(int(explanation.heat.argmax()), SIDE)
        )
        hits += top - CELL < row < top + SQUARE and left - CELL < column < left + SQUARE
    assert hits >= 95  # by chance 12


def test_it_is_the_equations_of_the_paper(model):
    """Equations 1 and 2 of Selvaraju 2017, written out, on a network with a shortcut."""
    inputs = torch.randn(3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 1, 1])
    network = ExportedModel(model).run
    found = class_activation(network, network.block0, inputs, classes)

    maps = network.block0(network.stem(inputs)).detach().requires_grad_()  # A: (N, K, h, w)
    scores = network.head(maps)
    for image, y in enumerate(scores[range(3), classes]):
        (gradient,) = torch.autograd.grad(y, maps, retain_graph=True)
        _, height, width = gradient[image].shape
        alpha = gradient[image].sum(dim=(1, 2)) / (height * width)
        expected = sum(a * A for a, A in zip(alpha, maps[image], strict=True)).clamp(min=0)
        torch.testing.assert_close(found[image, 0], expected, atol=1e-6, rtol=1e-6)


def test_overlays_and_a_page_are_written(model):
    pixels, _, _ = images(4, seed=2)
    for index, name in enumerate(("no <square>", "square", "square/deep", "elsewhere")):
        folder = Path("photos") / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index, ..., 0].numpy()).save(folder / "picture.png")
    Path("photos/broken.png").write_bytes(b"no picture")
    result = run(app, "--model", model, "--images", "photos", "--output", "out", status=2)
    assert "photos/broken.png: error: " in result.stderr
    assert result.stdout == "out/explain.html\n"
    assert len(list(Path("out").glob("*-picture.png"))) == 4
    with Image.open("out/0002-picture.png") as overlay:
        assert min(overlay.size) >= 192
    page = Path("out/explain.html").read_text()
    assert len(re.findall(r'src="data:image/png;base64,', page)) == 8
    assert "class no &lt;square&gt;" in page
    assert page.count('class="true"') == 3  # of the picture elsewhere nothing is known
    assert "of 3 pictures whose folder names their class are right" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)  # needs no network


def test_what_is_no_model_is_refused(model, tmp_path):
    arguments = ("--images", "photos")
    assert "has no model.py" in run(app, "--model", tmp_path, *arguments, status=2).stderr
    assert "no such file" in run(app, "--model", model, *arguments, status=2).stderr
    old = (model / "model.py").read_text().replace("FEATURES = ", "MAPS = ")
    (tmp_path / "model.py").write_text(old)
    (tmp_path / "weights.safetensors").write_bytes((model / "weights.safetensors").read_bytes())
    assert "names no feature maps" in run(app, "--model", tmp_path, *arguments, status=2).stderr


def test_what_it_needs_is_named(model, monkeypatch):
    monkeypatch.setattr("nas.explain.find_spec", lambda _name: None)
    message = run(app, "--model", model, "--images", "photos", status=2).stderr
    assert "needs captum\nhint: pip install 'separability-nas[explain]'" in message
