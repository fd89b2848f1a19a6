"""Photographs to try a search on: 2,700 pictures of six classes, assembled from two packages.

Objects are the photographs among Tux Paint's stamps (Debian's ``tuxpaint-stamps-default``), in
front of the photographs of nature that come with MATE (``mate-backgrounds``): the 220 objects and
12 scenes are in every split, put together in other ways, sizes and turns. Sizes of the pictures
differ, some lie on their side and say so (Exif), as those of a phone do. The same command makes the
same pictures.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageOps

CLASSES = {
    "bird": ("animals/birds",),
    "flower": ("plants/flowers",),
    "fruit": ("food/fruit", "food/nuts"),
    "mammal": ("animals/mammals", "animals/marsupials"),
    "household": ("household", "hobbies/music"),
    "vegetable": ("food/vegetables", "plants/mushrooms"),
}
"""Folders of stamps."""

DRAWN = {"cartoon", "toys", "plastic"}
"""Folders of stamps that are no photographs."""

PICTURES = {"train": 300, "val": 75, "test": 75}
"""Of each class."""

TURNED = 6
"""Exif's orientation of a picture whose camera was held upright: turn it by 90 degrees."""


def main(
    stamps: Annotated[Path, typer.Argument(help="usr/share/tuxpaint/stamps of the package")],
    backgrounds: Annotated[Path, typer.Argument(help="usr/share/backgrounds/mate/nature")],
    output: Annotated[Path, typer.Argument(help="a folder for train, val and test")],
) -> None:
    """Assemble the pictures."""
    scenes = [Image.open(file).convert("RGB") for file in sorted(backgrounds.glob("*.jpg"))]
    for scene in scenes:
        scene.thumbnail((1024, 1024))
    for name, folders in CLASSES.items():
        objects = _photographs(stamps, folders)
        for split, count in PICTURES.items():
            folder = output / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                rng = random.Random(f"{name}/{split}/{number}")
                picture = _picture(
                    Image.open(objects[number % len(objects)]), rng.choice(scenes), rng
                )
                _save(picture, folder / f"{number:03}.jpg", turned=rng.random() < 0.1)


def _photographs(stamps: Path, folders: tuple[str, ...]) -> list[Path]:
    found = sorted(file for folder in folders for file in (stamps / folder).rglob("*.png"))
    return [file for file in found if not DRAWN & set(file.parts)]


def _picture(cut_out: Image.Image, scene: Image.Image, rng: random.Random) -> Image.Image:
    """The object before a part of the scene, at a random place, size and angle."""
    long_side, short_side = rng.randint(96, 320), rng.uniform(0.7, 1)
    size = (long_side, round(long_side * short_side))
    size = size if rng.random() < 0.7 else size[::-1]
    zoom = rng.uniform(1, 2)
    part = (min(scene.width, round(size[0] * zoom)), min(scene.height, round(size[1] * zoom)))
    left, top = (rng.randint(0, room) for room in (scene.width - part[0], scene.height - part[1]))
    picture = scene.crop((left, top, left + part[0], top + part[1])).resize(size)
    if rng.random() < 0.5:
        cut_out = ImageOps.mirror(cut_out)
    cut_out = cut_out.convert("RGBA").rotate(
        rng.uniform(-20, 20), Image.Resampling.BICUBIC, expand=True
    )
    cut_out = cut_out.crop(cut_out.getbbox())
    share = rng.uniform(0.6, 0.95)
    cut_out = ImageOps.contain(cut_out, (round(size[0] * share), round(size[1] * share)))
    place = (rng.randint(0, size[0] - cut_out.width), rng.randint(0, size[1] - cut_out.height))
    picture.paste(cut_out, place, cut_out)
    return picture


def _save(picture: Image.Image, file: Path, turned: bool) -> None:
    exif = Image.Exif()
    if turned:
        exif[0x0112] = TURNED
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    picture.save(file, quality=90, exif=exif)


if __name__ == "__main__":
    typer.run(main)
