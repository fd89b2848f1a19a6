"""Segments as experts: a k x k step of which each image has the segments that a gate chooses."""

from __future__ import annotations

from nas.architecture.modules import (
    Layer,
    Padding,
    SegmentGroup,
    Shape,
    Step,
    global_mean,
    linear,
    segmented_convolution,
    sequential,
)


def chosen_experts(segments: int) -> int:
    """How many of so many segments an image has: a quarter, rounded up."""
    return -(-segments // 4)


def segment_mixture(
    groups: tuple[SegmentGroup, ...],
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = "symmetric",
) -> Step:
    """A segmented convolution whose segments are experts, as in a mixture of experts.

    The gate is a linear layer on the averages over all positions of the input, then a softmax over
    the segments. The `chosen_experts` that it weighs most are computed and multiplied by their
    weights; the output of the others is 0 (Shazeer 2017; Fedus 2021, equation 2, of more than one).

    Counted are the gate and so many of the widest segments: what is computed for one image, also
    where segments differ by a channel, for narrower ones are then computed as if they were wider.
    All segments have parameters.
    """
    segments = sum(group.segments for group in groups)
    chosen, widest = chosen_experts(segments), groups[0]
    choose = sequential({"mean": global_mean(), "linear": linear(segments)})
    convolve = segmented_convolution(groups, kernel, stride, dilation, padding)

    def at(shape: Shape) -> Layer:
        gate, every = choose(shape), convolve(shape)
        _, height, width = every.output
        outputs = chosen * widest.out_width * height * width
        macs = outputs * widest.in_width * kernel**2
        experts = every._replace(macs=macs, activations=outputs)
        return Layer(
            "SegmentMixture",
            shape,
            every.output,
            arguments=(chosen,),
            children={"gate": gate, "experts": experts},
            params=gate.params + experts.params,
            macs=gate.macs + experts.macs,
            activations=gate.activations + experts.activations,
        )

    return at
