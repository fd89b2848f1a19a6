"""The published networks that this project is held to: what ``nas.describe family`` lists."""

from __future__ import annotations

FAMILY = (
    "xception",
    "xception:image_size=224",
    "xception:fc_layers=2",
    "xception41",
    "xception65",
    "xception71",
    "mobilenet",
    "mobilenet:alpha=.75",
    "mobilenet:alpha=.5",
    "mobilenet:alpha=.25",
    "mobilenet:image_size=192",
    "mobilenet:image_size=160",
    "mobilenet:image_size=128",
    "mobilenet:separable=false",
    "inception_v3",
    "inception_v3:image_size=224",
    "inception_v3:aux=true",
    "inception_v3:norm_scale=false",
    "inception_module:figure=1",
    "inception_module:figure=2",
    "inception_module:figure=3",
    "inception_module:figure=4",
)
"""By name, as any command takes it."""
