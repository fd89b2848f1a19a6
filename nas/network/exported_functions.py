"""What ``model.py`` has beside its network: `nas.network.source` prints these functions.

The constants and the network are those of each export; here they stand for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

CLASSES: list[str] = []
MEAN: list[float] = []
STD: list[float] = []
SIZE: tuple[int, ...] = (0, 0)
RESIZE: Literal["crop", "pad", "stretch"] | None = None
PICTURES: list[str] = []
WEIGHTS = Path("weights.safetensors")
ARCHITECTURE = ""


class Network(nn.Module):
    """In place of the exported one."""


def read_image(path: str | Path) -> Tensor:
    """A picture as those of the training were read: (1, H, W, C) uint8. Needs Pillow."""
    from PIL import ExifTags, Image, ImageOps

    with Image.open(path, formats=PICTURES) as stored:
        if stored.mode.startswith(("I", "F")):
            raise ValueError(f"{path}: images have 8 bits a channel; got {stored.mode}")
        # A PNG without Exif is decoded to look for it: as in the training, that is not done.
        looked_at = stored.format != "PNG" or "exif" in stored.info
        try:
            turned = looked_at and stored.getexif().get(ExifTags.Base.Orientation, 1) != 1
        except Exception:  # of damaged metadata, which says nothing of the pixels
            turned = False
        upright = ImageOps.exif_transpose(stored) if turned else stored
        image = upright.convert("L" if len(MEAN) == 1 else "RGB")
    height, width = SIZE
    if RESIZE == "crop":
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    elif RESIZE == "pad":
        image = ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR)
    elif RESIZE == "stretch":
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    elif image.size != (width, height):
        size = f"{image.height} x {image.width}"
        raise ValueError(f"{path}: images are {height} x {width}, height x width; got {size}")
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.reshape(1, height, width, len(MEAN))


def preprocess(images: Tensor) -> Tensor:
    """Images as they are stored, (N, *SIZE, C) uint8, to the network's input (N, C, *SIZE)."""
    if images.dtype != torch.uint8:
        raise TypeError(f"images are uint8, from 0 to 255; got {images.dtype}")
    if images.ndim != len(SIZE) + 2 or images.shape[-1] != len(MEAN):
        axes = "N, H, W" if len(SIZE) == 2 else "N, T, H, W"
        raise ValueError(f"images are ({axes}, {len(MEAN)}); got shape {tuple(images.shape)}")
    mean, std = (torch.tensor(values, device=images.device) for values in (MEAN, STD))
    return ((images.float() - mean) / std).movedim(-1, 1)


def predict(path: str | Path, network: nn.Module | None = None) -> dict[str, float]:
    """Probability of each class for a picture, the most probable first."""
    network = network or load()
    with torch.inference_mode():
        probabilities = network(preprocess(read_image(path))).softmax(1)[0]
    order = probabilities.argsort(descending=True).tolist()
    return {CLASSES[index]: float(probabilities[index]) for index in order}


def load(path: str | Path = WEIGHTS) -> Network:
    """The network with its trained weights, ready for inference."""
    content = Path(path).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    entries = json.loads(content[8:start])
    saved = entries.pop("__metadata__", {}).get("architecture", ARCHITECTURE)
    if saved != ARCHITECTURE:
        raise ValueError(f"{path} has the weights of another network, {saved}")
    dtypes = {"F32": torch.float32, "F16": torch.float16, "I64": torch.int64, "U8": torch.uint8}
    state = {}
    for name, entry in entries.items():
        begin, end = entry["data_offsets"]
        values = bytearray(content[start + begin : start + end])
        state[name] = torch.frombuffer(values, dtype=dtypes[entry["dtype"]]).reshape(entry["shape"])
    network = Network()
    for name, tensor in network.state_dict().items():
        if f"{name}.scale" in state:
            groups = (state.pop(f"{name}.scale"), state.pop(f"{name}.lowest"))
            state[name] = unpacked(state[name], *groups, tensor.shape)
    network.load_state_dict(state)
    return network.eval()


def unpacked(packed: Tensor, scales: Tensor, lowest: Tensor, shape: torch.Size) -> Tensor:
    """Weights in float32, of 4 bits each, two to a byte; scales and lowest: (outputs, groups)."""
    steps = torch.stack((packed & 15, packed >> 4), dim=1).flatten().float()
    size = -(-shape[1:].numel() // scales.shape[1])
    groups = steps[: scales.numel() * size].reshape(*scales.shape, size)
    rows = (groups * scales.float()[..., None] + lowest.float()[..., None]).flatten(1)
    return rows[:, : shape[1:].numel()].reshape(shape)
