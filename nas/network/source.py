"""An architecture as the source of a PyTorch module, its layers written out one by one."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from nas.architecture.description import describe_block
from nas.architecture.specification import (
    Activation,
    Architecture,
    Block,
    SpectrumPoint,
    segment_count,
    segment_widths,
)
from nas.network import exported_layers

_ACTIVATIONS: dict[Activation, str] = {
    "relu": "nn.ReLU()",
    "elu": "nn.ELU()",
    "gelu": "nn.GELU()",
    "silu": "nn.SiLU()",
}
_HELPERS = (
    exported_layers.Residual,
    exported_layers.Subsample,
    exported_layers.Segments,
    exported_layers.Interleave,
    exported_layers.SamePad,
    exported_layers.Head,
)


@dataclass(frozen=True)
class Provenance:
    """What a model's source says about where it comes from.

    Attributes:
        title: of the network.
        summary: lines under the title.
        classes: names of the outputs.
        mean: of each channel, in units of 0 to 255, that images are normalised by.
        std: likewise.
    """

    title: str
    summary: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def model_source(architecture: Architecture, provenance: Provenance) -> str:
    """The source of ``model.py``: needs PyTorch, and nothing else."""
    network = _Writer(architecture).network()
    used = [helper for helper in _HELPERS if re.search(rf"\b{helper.__name__}\(", network)]
    parts = [
        _header(architecture, provenance),
        *(_source_of(helper) for helper in used),
        network,
        _LOADING,
    ]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def _source_of(helper: type) -> str:
    """A class as it is in `nas.network.exported_layers`, without remarks to our linter."""
    return re.sub(r"  # noqa:.*", "", inspect.getsource(helper))


def _header(architecture: Architecture, provenance: Provenance) -> str:
    channels, height, width = architecture.input_shape
    summary = ("", *provenance.summary) if provenance.summary else ()
    text = "\n".join((f"{provenance.title}.", *summary, ""))
    about = _visible(text.replace("\\", "\\\\").replace('"""', "'''"))
    classes = provenance.classes or tuple(map(str, range(architecture.classes)))
    mean, std = provenance.mean or (0.0,) * channels, provenance.std or (1.0,) * channels
    return f'''"""{about}
Input: (N, {channels}, {height}, {width}), float32, normalised (see `preprocess`).
Output: (N, {architecture.classes}) logits, in the order of CLASSES.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = {_list(map(_quoted, classes))}
# Of each channel, for pixels of 0 to 255.
MEAN = {_list(map(repr, mean))}
STD = {_list(map(repr, std))}
WEIGHTS = Path(__file__).with_name("weights.safetensors")
# Names the network; its weights carry it, too.
ARCHITECTURE = "{architecture.key}"'''


_LOADING = '''
def preprocess(images: Tensor) -> Tensor:
    """Images as they are stored, (N, H, W, C) uint8, to the network's input (N, C, H, W)."""
    mean, std = (torch.tensor(values, device=images.device) for values in (MEAN, STD))
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)


def load(path: str | Path = WEIGHTS) -> Network:
    """The network with its trained weights, ready for inference."""
    content = Path(path).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    entries = json.loads(content[8:start])
    saved = entries.pop("__metadata__", {}).get("architecture", ARCHITECTURE)
    if saved != ARCHITECTURE:
        raise ValueError(f"{path} has the weights of another network, {saved}")
    dtypes = {"F32": torch.float32, "I64": torch.int64}
    state = {}
    for name, entry in entries.items():
        begin, end = entry["data_offsets"]
        values = bytearray(content[start + begin : start + end])
        state[name] = torch.frombuffer(values, dtype=dtypes[entry["dtype"]]).reshape(entry["shape"])
    network = Network()
    network.load_state_dict(state)
    return network.eval()
'''


@dataclass
class _Writer:
    """Writes the layers in the order in which `nas.network.build` makes them."""

    architecture: Architecture
    lines: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        return self.architecture.padding == "tensorflow"

    def network(self) -> str:
        blocks = self.architecture.blocks_with_input()
        self.put(0, "class Network(nn.Module):", '    """The whole network."""', "")
        self.put(4, "def __init__(self) -> None:", "    super().__init__()")
        self.put(8, "self.stem = nn.Sequential(", *_indent(self.stem()), ")")
        for index, (block, in_channels) in enumerate(blocks):
            about = textwrap.wrap(f"{describe_block(block, in_channels)}.", 90)
            self.put(8, *(f"# {line}" for line in about))
            self.put(8, *self.block(index, block, in_channels))
        last, classes = self.architecture.blocks[-1].channels[-1], self.architecture.classes
        self.put(8, f"self.head = Head({last}, {classes})", "")
        self.put(4, "def forward(self, x: Tensor) -> Tensor:", "    x = self.stem(x)")
        self.put(8, *(f"x = self.block{index}(x)" for index in range(len(blocks))))
        self.put(8, "logits: Tensor = self.head(x)", "return logits")
        return "\n".join(self.lines)

    def put(self, indent: int, *lines: str) -> None:
        self.lines += [" " * indent + line if line else "" for line in lines]

    def stem(self) -> list[str]:
        stem = self.architecture.stem
        written = []
        for index, (c_in, c_out) in enumerate(
            stem.convolution_channels(self.architecture.input_shape[0])
        ):
            stride = stem.stride if index == 0 else 1
            if stem.valid:
                written.append(
                    f"nn.Conv2d({c_in}, {c_out}, {stem.kernel}{_stride(stride)}, bias=False)"
                )
            else:
                written += self.convolution((c_in,), (c_out,), stem.kernel, stride)
            written += [self.norm(c_out), "nn.ReLU()"]
        return _commas(written)

    def block(self, index: int, block: Block, in_channels: int) -> list[str]:
        branch = _commas(self.branch(index, block, in_channels))
        if not block.residual:
            return [f"self.block{index} = nn.Sequential(", *_indent(branch), ")"]
        out_channels = block.channels[-1]
        shortcut = ["shortcut=nn.Identity(),"]
        if block.shortcut(in_channels) == "projection":
            subsample = [f"Subsample({block.stride})"] if block.stride > 1 else []
            conv = f"nn.Conv2d({in_channels}, {out_channels}, 1, bias=False)"
            projection = _commas([*subsample, conv, self.norm(out_channels)])
            shortcut = ["shortcut=nn.Sequential(", *_indent(projection), "),"]
        return [
            f"self.block{index} = Residual(",
            "    branch=nn.Sequential(",
            *_indent(_indent(branch)),
            "    ),",
            *_indent(shortcut),
            ")",
        ]

    def branch(self, index: int, block: Block, in_channels: int) -> list[str]:
        written: list[str] = []
        for position, (c_in, c_out) in enumerate(block.convolution_channels(in_channels)):
            # The stem ends in a ReLU already.
            if position > 0 or (block.leading_relu and index > 0):
                written.append("nn.ReLU()")
            stride = block.convolution_stride if position == 0 else 1
            written += self.spectrum_convolution(block.point, c_in, c_out, stride)
            written.append(self.norm(c_out))
        if block.stride > 1 and block.downsample == "max_pool":
            if self.same:
                pad = f'SamePad(3, {block.stride}, value=float("-inf"))'
                written += [pad, f"nn.MaxPool2d(3, stride={block.stride})"]
            else:
                written.append(f"nn.MaxPool2d(3, stride={block.stride}, padding=1)")
        return written

    def spectrum_convolution(
        self, point: SpectrumPoint, c_in: int, c_out: int, stride: int
    ) -> list[str]:
        channels = point.spatial_channels(c_in, c_out)
        widths = segment_widths(channels, segment_count(point.segments, channels))
        multiplied = tuple(width * point.multiplier for width in widths)
        between = channels * point.multiplier
        joint = [self.norm(between)] if point.norm_between else []
        if point.activation != "none":
            joint.append(_ACTIVATIONS[point.activation])
        kernel, dilation = point.kernel, point.dilation
        if point.order == "plain":
            return self.convolution((c_in,), (c_out,), kernel, stride, dilation)
        if point.order == "spatial_first":
            spatial = self.convolution(widths, multiplied, kernel, stride, dilation)
            return [*spatial, *joint, *self.pointwise(between, c_out, point.pointwise_groups)]
        spatial = self.convolution(multiplied, widths, kernel, stride, dilation)
        return [*self.pointwise(c_in, between, point.pointwise_groups), *joint, *spatial]

    def pointwise(self, c_in: int, c_out: int, groups: int) -> list[str]:
        if groups == 1:
            return [f"nn.Conv2d({c_in}, {c_out}, 1, bias=False)"]
        widths = segment_widths(c_in, groups), segment_widths(c_out, groups)
        return [*self.convolution(*widths, kernel=1), f"Interleave({c_out}, {groups})"]

    def convolution(
        self,
        in_widths: tuple[int, ...],
        out_widths: tuple[int, ...],
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
    ) -> list[str]:
        padding = 0 if self.same else dilation * (kernel - 1) // 2
        options = _stride(stride)
        options += f", padding={padding}" if padding else ""
        options += f", dilation={dilation}" if dilation > 1 else ""
        written = []
        for (c_in, c_out), run in groupby(zip(in_widths, out_widths, strict=True)):
            groups = len(list(run))
            grouped = f", groups={groups}" if groups > 1 else ""
            sizes = f"{c_in * groups}, {c_out * groups}, {kernel}"
            written.append(f"nn.Conv2d({sizes}{options}{grouped}, bias=False)")
        if len(written) > 1:
            written = ["Segments(\n" + "\n".join(_indent(_commas(written))) + "\n)"]
        if self.same and kernel > 1:
            extra = f", {stride}, {dilation}" if dilation > 1 else _positional(stride)
            written.insert(0, f"SamePad({kernel}{extra})")
        return written

    def norm(self, channels: int) -> str:
        epsilon = self.architecture.norm_epsilon
        return f"nn.BatchNorm2d({channels}{f', eps={epsilon}' if epsilon != 1e-5 else ''})"


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


def _stride(stride: int) -> str:
    return f", stride={stride}" if stride > 1 else ""


def _positional(stride: int) -> str:
    return f", {stride}" if stride > 1 else ""


def _commas(expressions: list[str]) -> list[str]:
    """Arguments, one for each line; an expression may have several lines."""
    return [line for expression in expressions for line in f"{expression},".split("\n")]


def _indent(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
