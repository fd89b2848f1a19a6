"""Command lines: any option that a command says it has, with values that are right and wrong."""

from __future__ import annotations

import random
from importlib import import_module
from typing import Any

import typer

from tests.fuzz.hostile import NUMBERS, TEXTS

COMMANDS = (
    *("search", "describe", "report", "export", "retrain", "verdict", "fidelity"),
    *("predict", "explain", "latency", "convert", "train"),
)

STUDY = ("small", "waiting", "runs/small", "none", "pictures", "space.yaml")
PICTURES = ("pictures", "pictures/a.png", "pictures/b.jpg", "space.yaml", "none.png", "runs")
FITTING: dict[str, tuple[str, ...]] = {
    "--space": ("space.yaml", "waiting.yaml", "architecture.json", "none.yaml", "/dev/null", "runs"),
    "--study": STUDY,
    "--published": ("published", "runs/small", "none"),
    "--model": ("best", "runs/small", "none", "space.yaml"),
    "--images": PICTURES,
    "files": PICTURES,
    "models": ("best", "architecture.json", "xception", "runs", "none.json", "space.yaml"),
    "what": ("space.yaml", "architecture.json", "mobilenet", "none.json", "best", "/dev/null"),
    "--architecture": ("architecture.json", "none.json", "space.yaml"),
    "--data": ("digits", "synthetic", "images:pictures", "images:none", "npz:pickled.npz", "space.yaml"),
    "--output": ("out", "a/b", "space.yaml", "best", "runs/small", "out?x=y%41"),
    "--storage": ("sqlite:///runs/small/study.db", "sqlite:///none.db", "sqlite:///space.yaml"),
    "--set": ("training.epochs=3", "study.seed=1", "data.classes=5", "name=other", "network.blocks=[]"),
    "--from-keras": ("small.weights.h5", "pictures/a.png", "space.yaml", "none.h5", "best", "/dev/zero"),
    "--preset": ("mobilenet:classes=4,image_size=32,width=0.05", "xception", "mobilenet:classes", "none"),
    "--to-keras": ("out.weights.h5", "out.h5", "out.keras", "a/b.h5", "best", "/dev/null"),
    "--format": ("pytorch", "pt2", "onnx,int8", "int4", "pytorch,pytorch", ",", "pte"),
    "--runtime": ("eager", "onnx", "pt2", "eager,eager"),
    "--layout": ("channels_last", "channels_first,channels_last"),
    "--best": ("knee", "accuracy", "macs<=300K", "macs<=1", "params<=1M", "latency_ms<=5"),
    "--size": ("900x430", "500x350", "4000x4000"),
    "--as": ("table", "csv", "json"),
    "--budget": ("10m", "90s", "1h30m"),
    "--recipe": ("proxy", "imagenet", "final"),
    "--sampler": ("random", "tpe", "grid"),
    "--epochs": ("4x", "3", "1"),
}  # fmt: skip
WHOLE = ("0", "1", "2", "3", "5", "-1", "100", *(str(number) for number in NUMBERS[:20]))
_NEVER = ("--help", "--svg", "--figures")


def command_line(rng: random.Random) -> tuple[str, ...]:
    """A command and its arguments: what it needs, mostly, and some of what it takes."""
    name = rng.choice(COMMANDS)
    command = typer.main.get_command(import_module(f"nas.{name}").app)
    arguments: list[str] = []
    for parameter in command.params:
        chance = 0.97 if parameter.required or parameter.name in ("what", "study") else 0.2
        if any(option in _NEVER for option in parameter.opts) or rng.random() > chance:
            continue
        for _ in range(rng.choice((1, 1, 1, 2))):  # the last one counts, or all
            arguments += _given(parameter, rng)
    if rng.random() < 0.05:
        arguments.insert(rng.randrange(len(arguments) + 1), _text(rng))
    if rng.random() < 0.05 and arguments:
        arguments.pop(rng.randrange(len(arguments)))
    return (name, *arguments)


def _given(parameter: Any, rng: random.Random) -> list[str]:
    option = rng.choice(parameter.opts)
    if getattr(parameter, "is_flag", False):
        return [option]
    value = rng.choice(FITTING.get(option, WHOLE)) if rng.random() < 0.7 else _text(rng)
    if not option.startswith("-"):
        return [value]
    return [f"{option}={value}"] if rng.random() < 0.3 else [option, value]


def _text(rng: random.Random) -> str:
    """Any text that a system can hand to a program: bytes that are not UTF-8 are surrogates."""
    if rng.random() < 0.2:
        return str(rng.choice(NUMBERS))
    return rng.choice(TEXTS).replace("\x00", "\x01").replace("\ud800", "\udc80")
