"""Data sets as people have them, right and wrong, made in the current folder."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy
from PIL import Image

from trials.data import DataConfig

FOLDER = DataConfig("images:data", memory=1)
"""`data`, decoded into the cache."""

RNG = np.random.default_rng(0)


def pixels(height: int = 6, width: int = 6, channels: int = 3) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def encoded(image: np.ndarray | None = None, kind: str = "png", **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels() if image is None else image).save(out, kind, **options)
    return out.getvalue()


def write(*files: str, content: bytes | None = None) -> None:
    """Pictures, or files of another content, with the folders that they are in."""
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_bytes(encoded() if content is None else content)


def numbered(folder: str, count: int, suffix: str = ".png", prefix: str = "") -> list[str]:
    return [f"{folder}/{prefix}{index}{suffix}" for index in range(count)]


def folders(**counts: int) -> None:
    """So many pictures in each folder below `data`; `__` stands for a slash."""
    for name, count in counts.items():
        write(*numbered(f"data/{name.replace('__', '/')}", count))


def archive(**arrays: np.ndarray) -> None:
    np.savez("data.npz", **arrays)


def table(columns: dict[str, object], split: str = "train") -> None:
    """A Parquet file without a word of Hugging Face's in it."""
    Path("data").mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), f"data/{split}.parquet")


def lines(file: str, *text: str) -> None:
    write(file, content="\n".join((*text, "")).encode())


def described_table(names: list[str], labels: list, split: str = "train") -> None:
    """A Parquet file in which Hugging Face's types are described; labels may be lists."""
    label = datasets.ClassLabel(names=names)
    label = datasets.List(label) if isinstance(labels[0], list) else label
    features = datasets.Features({"img": datasets.Image(), "label": label})
    rows = {"img": [{"bytes": encoded(), "path": None} for _ in labels], "label": labels}
    Path("data").mkdir(exist_ok=True)
    made = datasets.Dataset.from_dict(rows, features=features)
    made.to_parquet(f"data/{split}-00000-of-00001.parquet")


def images(count: int = 12) -> list[dict[str, object]]:
    return [{"bytes": encoded(), "path": None} for _ in range(count)]


def claiming_archive(shape: tuple[int, ...]) -> None:
    """An archive whose array says that it has this shape, and holds nothing."""
    head = io.BytesIO()
    npy.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile("data.npz", "w") as file:
        file.writestr("images.npy", head.getvalue())
        labels = io.BytesIO()
        np.save(labels, np.zeros(4, np.int64))
        file.writestr("labels.npy", labels.getvalue())


def oriented(orientation: int) -> bytes:
    """A picture of 6 x 4 (height x width) that a camera has stored lying."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(pixels(4, 6), "jpeg", exif=exif.tobytes())


def huge_png(height: int, width: int) -> bytes:
    """The head of a picture of this size, and next to no data."""
    content = bytearray(encoded(pixels(4, 4)))
    content[16:24] = width.to_bytes(4) + height.to_bytes(4)
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4)
    return bytes(content)


def tar(file: str, **members: bytes | str) -> None:
    """A shard of these members, in this order; in names without a dot ``__`` stands for one."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as opened:
        for name, content in members.items():
            content = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name if "." in name else name.replace("__", "."))
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))


def shard(file: str, *labels: int) -> None:
    """A shard of a picture for each label."""
    members: dict[str, bytes | str] = {}
    for key, label in enumerate(labels):
        members |= {f"{key}__png": encoded(), f"{key}__cls": str(label)}
    tar(file, **members)


def entries() -> list[Path]:
    """Decoded images in the test's own cache."""
    return sorted(Path("cache").rglob("*.npy"))
