"""An architecture as the source of a PyTorch module, its layers written out one by one."""

from __future__ import annotations

import inspect
import json
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from nas.architecture.description import describe_block
from nas.architecture.layers import network_layers
from nas.architecture.modules import Layer
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.network import exported_functions, exported_labels, exported_layers
from nas.network.build import module_class
from trials.data import pictures

_HELPERS = [
    value
    for value in vars(exported_layers).values()
    if isinstance(value, type) and value.__module__ == exported_layers.__name__
]


@dataclass(frozen=True)
class Provenance:
    """What a model's source says about where it comes from.

    Attributes:
        title: of the network.
        summary: lines under the title.
        classes: names of the outputs.
        mean: of each channel, in units of 0 to 255, that images are normalised by.
        std: of each channel, in the same units.
        resize: of the pictures; None where they had the network's size.
        many_labels: whether an image may have several classes, or none.
        architecture: its key; an export sets it.
    """

    title: str
    summary: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    resize: Literal["crop", "pad", "stretch"] | None = None
    many_labels: bool = False
    architecture: str = ""

    @property
    def metadata(self) -> dict[str, object]:
        """What a program has to know that feeds the network; what is empty is left out."""
        names = ("title", "architecture", "classes", "mean", "std", "resize")
        known = {name: value for name in names if (value := getattr(self, name))}
        return known | {"probabilities": "sigmoid" if self.many_labels else "softmax"}


def model_source(architecture: Architecture | Reference, provenance: Provenance) -> str:
    """The source of ``model.py``: needs PyTorch, and Pillow to read pictures."""
    layers = network_layers(architecture)
    network = (
        _reference(layers)
        if isinstance(architecture, Reference)
        else _network(architecture, layers.children)
    )
    used = [helper for helper in _HELPERS if helper in set(_modules(layers))]
    parts = [
        _header(architecture, provenance),
        *(_source_of(helper) for helper in used),
        network,
        *(
            inspect.getsource(function)
            for function in _functions(architecture, provenance.many_labels)
        ),
    ]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def _modules(layer: Layer) -> Iterator[type]:
    yield module_class(layer)
    for child in layer.children.values():
        yield from _modules(child)


def _functions(
    architecture: Architecture | Reference, many_labels: bool
) -> Iterator[Callable[..., object]]:
    """Pictures are grey or in colour: networks of others, or of clips, have no reader."""
    channels, *size = architecture.input_shape
    reads = channels in (1, 3) and len(size) == 2
    if reads:
        yield exported_functions.read_image
    yield exported_functions.preprocess
    if reads and many_labels:
        yield exported_labels.predict
        yield exported_labels.labels
    elif reads:
        yield exported_functions.predict
    yield exported_functions.load
    yield exported_functions.unpacked


def _source_of(helper: type) -> str:
    """A class as it is in `nas.network.exported_layers`, without remarks to our linters."""
    return re.sub(r"  # (noqa|type):.*", "", inspect.getsource(helper))


_THRESHOLD = f"""# Of the probability above which an image has a class.
THRESHOLD = {exported_labels.THRESHOLD}
"""


def _header(architecture: Architecture | Reference, provenance: Provenance) -> str:
    channels, *size = architecture.input_shape
    axes = "height, width" if len(size) == 2 else "frames, height, width"
    summary = ("", *provenance.summary) if provenance.summary else ()
    text = "\n".join((f"{provenance.title}.", *summary, ""))
    about = _visible(text.replace("\\", "\\\\").replace('"""', "'''"))
    classes = provenance.classes or tuple(map(str, range(architecture.classes)))
    sigmoid = "; a sigmoid gives the probability of each" if provenance.many_labels else ""
    threshold = _THRESHOLD if provenance.many_labels else ""
    mean, std = provenance.mean or (0.0,) * channels, provenance.std or (1.0,) * channels
    return f'''"""{about}
Input: (N, {channels}, {", ".join(map(str, size))}), float32, normalised (see `preprocess`).
Output: (N, {architecture.classes}) logits, in the order of CLASSES{sigmoid}.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

CLASSES = {_list(map(_quoted, classes))}
# Of each channel, for pixels of 0 to 255.
MEAN = {_list(map(repr, mean))}
STD = {_list(map(repr, std))}
SIZE = {tuple(size)}  # {axes}
# How pictures of other sizes are given this one: crop, pad or stretch; None: they are refused.
RESIZE = {_quoted(provenance.resize) if provenance.resize else None}
# Of pictures: those that Pillow decodes itself; for others it starts programs.
PICTURES = {_list(map(_quoted, pictures.FORMATS))}
# Of what `Network.features` returns: name, channels, and pixels of the image to a step.
FEATURES = {_list(_features(architecture))}
{threshold}WEIGHTS = Path(__file__).with_name("weights.safetensors")
# Names the network; its weights carry it, too.
ARCHITECTURE = "{architecture.key}"'''


def _network(architecture: Architecture, layers: Mapping[str, Layer]) -> str:
    """The class of the whole network, a statement for the stem, each block and the head."""
    stem, blocks, *head = layers.values()
    lines = ["class Network(nn.Module):", '    """The whole network."""', ""]
    lines += ["    def __init__(self) -> None:", "        super().__init__()"]
    statements = [f"self.stem = {_expression(stem)}"]
    described = zip(architecture.blocks_with_input(), blocks.children.values(), strict=True)
    for index, (block, layer) in enumerate(described):
        about = textwrap.wrap(f"{describe_block(*block, architecture.dims)}.", 90)
        statements += [f"# {line}" for line in about]
        statements.append(f"self.block{index} = {_expression(layer)}")
    statements.append(f"self.head = {_call('nn.Sequential', map(_expression, head))}")
    lines += [_indented(statement, 8) for statement in statements]
    lines += ["", "    def forward(self, x: Tensor) -> Tensor:", "        x = self.stem(x)"]
    lines += [f"        x = self.block{index}(x)" for index in range(len(blocks.children))]
    lines += ["        logits: Tensor = self.head(x)", "        return logits"]
    lines += ["", "    def features(self, x: Tensor) -> list[Tensor]:"]
    axes = "N, C, H, W" if architecture.dims == 2 else "N, C, T, H, W"
    lines += [f'        """Feature maps ({axes}), as FEATURES lists them, for a detector."""']
    lines += ["        maps = [self.stem(x)]"]
    for index in range(len(blocks.children)):
        lines.append(f"        maps.append(self.block{index}(maps[-1]))")
    lines.append("        return maps")
    return "\n".join(lines)


def _reference(layers: Layer) -> str:
    """The class of a network that has no blocks, a statement for each part of it."""
    parts = _parts(layers)
    *first, last = parts
    lines = ["class Network(nn.Module):", '    """The whole network."""', ""]
    lines += ["    def __init__(self) -> None:", "        super().__init__()"]
    lines += [_indented(f"self.{name} = {_expression(part)}", 8) for name, part in parts.items()]
    lines += ["", "    def forward(self, x: Tensor) -> Tensor:"]
    lines += [f"        x = self.{name}(x)" for name in first]
    lines += [f"        logits: Tensor = self.{last}(x)", "        return logits"]
    if first:
        lines += ["", "    def features(self, x: Tensor) -> list[Tensor]:"]
        lines += ['        """Feature maps (N, C, H, W), as FEATURES lists them."""']
        lines += ["        trunk = self.trunk(x)", "        return [trunk, self.last(trunk)]"]
    return "\n".join(lines)


def _parts(layers: Layer) -> dict[str, Layer]:
    """Trunk, what else is in front of the mean over positions, and the head.

    What has a second head is one part, for training calls all of it.
    """
    if layers.module != "Sequential":
        return {"whole": layers}
    rest = layers.children["rest"]
    steps = list(rest.children.items())
    mean = [step.module for _, step in steps].index("GlobalMean")
    last = rest._replace(output=steps[mean][1].input, children=dict(steps[:mean]))
    head = rest._replace(input=last.output, children=dict(steps[mean:]))
    return {"trunk": layers.children["trunk"], "last": last, "head": head}


def _features(architecture: Architecture | Reference) -> Iterator[str]:
    """Name, channels and stride of each feature map, as a tuple in the source."""
    if isinstance(architecture, Reference):
        *maps, _head = _parts(architecture.layers).items()
        stride = 1
        for name, part in maps:
            stride *= _stride(part)
            yield f'("{name}", {part.output[0]}, {stride})'
        return
    stride = architecture.stem.stride
    yield f'("stem", {architecture.stem.channels[-1]}, {stride})'
    for index, block in enumerate(architecture.blocks):
        stride *= block.stride
        yield f'("block{index}", {block.channels[-1]}, {stride})'


def _stride(layer: Layer) -> int:
    """Pixels of a layer's input to a step of its output; towers side by side are alike."""
    if layer.module == "Sequential":
        return math.prod(map(_stride, layer.children.values()))
    if layer.children:
        return _stride(next(iter(layer.children.values())))
    return int(layer.options.get("stride", 1))


def _expression(layer: Layer) -> str:
    """What constructs a layer: a call in one line, or in one line for each module inside it."""
    kind = module_class(layer)
    name = kind.__name__ if kind in _HELPERS else f"nn.{kind.__name__}"
    if not layer.children:
        defaults = inspect.signature(kind).parameters
        options = [
            f"{option}={_literal(value)}"
            for option, value in layer.options.items()
            if value != defaults[option].default
        ]
        return f"{name}({', '.join((*map(str, layer.arguments), *options))})"
    if layer.module == "Sequential":
        return _call(name, map(_expression, _flat(layer)))
    named = (
        f"{'' if child_name.isdigit() else f'{child_name}='}{_expression(child)}"
        for child_name, child in layer.children.items()
    )
    return _call(name, (*map(str, layer.arguments), *named))


def _flat(layer: Layer) -> Iterator[Layer]:
    """The modules of a sequence, those of sequences inside it in their place."""
    for child in layer.children.values():
        if child.module == "Sequential":
            yield from _flat(child)
        else:
            yield child


def _call(name: str, arguments: Iterable[str]) -> str:
    return "\n".join((f"{name}(", *(_indented(f"{argument},") for argument in arguments), ")"))


def _indented(text: str, spaces: int = 4) -> str:
    return textwrap.indent(text, " " * spaces)


def _literal(value: object) -> str:
    return f'float("{value}")' if value in (math.inf, -math.inf) else repr(value)


def _list(items: Iterable[str]) -> str:
    """A list of these expressions in the source, as many to a line as there is room for."""
    lines = [""]
    for item in items:
        if lines[-1] and len(lines[-1]) + len(item) > 94:
            lines.append("")
        lines[-1] += f"{item}, "
    if len(lines) == 1 and len(lines[0]) < 88:
        return f"[{lines[0].removesuffix(', ')}]"
    return "\n".join(("[", *(f"    {line.rstrip()}" for line in lines), "]"))


def _quoted(text: str) -> str:
    """A string literal in double quotes: what JSON escapes, Python reads alike."""
    return _visible(json.dumps(text, ensure_ascii=False))


def _visible(text: str) -> str:
    """Escapes for characters that an editor would not show, or that UTF-8 does not have."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )
