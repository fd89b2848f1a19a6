"""What the kernels take, as in their headers under ``source``."""

from __future__ import annotations

from ctypes import Structure, c_float, c_int32, c_int64, c_void_p


class Group(Structure):
    """Neighbouring segments of equal widths."""

    _fields_ = (
        *[(name, c_int32) for name in ("segments", "ins", "outs", "first_in", "first_out")],
        *[(name, c_void_p) for name in ("weights", "gradient", "packed", "partial")],
    )


class Convolution(Structure):
    """Segments side by side."""

    _fields_ = (
        *[(name, c_int32) for name in ("images", "kernel", "groups")],
        *[(name, c_int32) for name in ("in_height", "in_width", "in_channels")],
        *[(name, c_int32) for name in ("out_height", "out_width", "out_channels")],
        *[(name, c_int32) for name in ("rectify", "accumulate")],
        ("group", c_void_p),
        *[(name, c_void_p) for name in ("out_rows", "out_columns", "in_rows", "in_columns")],
        *[(name, c_void_p) for name in ("input", "output", "input_gradient", "output_gradient")],
        *[(name, c_void_p) for name in ("following", "preceding")],
    )


class BatchNorm(Structure):
    """With a ReLU behind it, or a sum."""

    _fields_ = (
        *[(name, c_int32) for name in ("images", "positions", "channels", "rectify", "training")],
        *[(name, c_float) for name in ("epsilon", "momentum")],
        *[(name, c_void_p) for name in ("weight", "bias", "running_mean", "running_variance")],
        *[(name, c_void_p) for name in ("batches", "input", "addend", "output", "pivots", "sums")],
        *[(name, c_void_p) for name in ("mean", "inverse", "scale", "shift")],
        *[(name, c_void_p) for name in ("output_gradient", "input_gradient")],
        *[(name, c_void_p) for name in ("weight_gradient", "bias_gradient")],
    )


class Input(Structure):
    """Images as PyTorch has them."""

    _fields_ = (
        *[(name, c_int32) for name in ("images", "height", "width", "channels")],
        *[(name, c_int64) for name in ("image_step", "channel_step", "row_step", "column_step")],
        *[(name, c_void_p) for name in ("from", "output")],
    )


class Activation(Structure):
    """Element by element."""

    _fields_ = (
        *[(name, c_int32) for name in ("images", "positions", "channels", "kind")],
        *[(name, c_void_p) for name in ("input", "output", "output_gradient", "input_gradient")],
    )


class MaxPool(Structure):
    """The highest of the taps."""

    _fields_ = (
        *[(name, c_int32) for name in ("images", "kernel", "channels")],
        *[(name, c_int32) for name in ("in_height", "in_width", "out_height", "out_width")],
        *[(name, c_void_p) for name in ("out_rows", "out_columns", "in_rows", "in_columns")],
        *[(name, c_void_p) for name in ("input", "output", "chosen")],
        *[(name, c_void_p) for name in ("output_gradient", "input_gradient", "preceding")],
    )


class Reorder(Structure):
    """Channels in another order."""

    _fields_ = (
        *[(name, c_int32) for name in ("images", "positions", "channels")],
        ("source", c_void_p),
        *[(name, c_void_p) for name in ("input", "output", "output_gradient", "input_gradient")],
    )


class Mean(Structure):
    """Over all positions, out of the kernels' memory."""

    _fields_ = (
        *[(name, c_int32) for name in ("images", "positions", "channels", "rectify")],
        *[(name, c_void_p) for name in ("input", "output", "output_gradient", "input_gradient")],
    )


class Call(Structure):
    """A kernel and its arguments."""

    _fields_ = (("kernel", c_void_p), ("arguments", c_void_p))
