"""Images on the device: batches are normalised, cropped and mirrored, and nothing is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tests.trials.training import CPU, needs_gpu
from trials.data.images import ImageData, Split
from trials.data.resident import ResidentSplit
from trials.train import Resident


def resident(images: np.ndarray, **changes) -> ResidentSplit:
    split = Split(images, np.arange(len(images), dtype=np.int64))
    data = ImageData(split, split, ("a", "b"), (100.0, 50.0, 0.0), (20.0, 10.0, 1.0))
    return ResidentSplit(replace(split, **changes), data, CPU)


def test_batches_are_normalised_and_channels_last(pictures):
    images, labels = resident(pictures).batch(torch.tensor([3, 1]))
    assert labels.tolist() == [3, 1]
    assert images.shape == (2, 3, 6, 5)
    assert images.is_contiguous(memory_format=torch.channels_last)
    expected = (pictures[[3, 1]] - np.array([100, 50, 0])) / np.array([20, 10, 1])
    np.testing.assert_allclose(images.permute(0, 2, 3, 1), expected, atol=1e-5)


def test_shared_images_are_never_written(pictures):
    pictures.flags.writeable = False
    before = pictures.copy()
    split = resident(pictures)
    assert np.shares_memory(split.images.numpy(), pictures)
    generator = torch.Generator().manual_seed(0)
    split.batch(torch.arange(40), crop=2, flip=True, generator=generator)
    assert (pictures == before).all()


def test_crops_and_flips_are_those_of_a_padded_image(pictures):
    """Each augmented image is one of the crops of the padded image or of its mirror image."""
    split = resident(pictures)
    padded = np.pad(pictures, ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        batch, _ = split.batch(torch.arange(40), crop=2, flip=True, generator=generator)
        raw = batch.permute(0, 2, 3, 1).numpy() * np.array([20, 10, 1]) + np.array([100, 50, 0])
        for index, image in enumerate(np.round(raw).astype(np.uint8)):
            found = [
                (dy, dx, mirrored)
                for mirrored in (False, True)
                for dy in range(5)
                for dx in range(5)
                if (mirror(padded[index, dy : dy + 6, dx : dx + 5], mirrored) == image).all()
                or (mirror(padded[index], mirrored)[dy : dy + 6, dx : dx + 5] == image).all()
            ]
            assert found, index
            seen.update(found)
    assert {(dy, dx) for dy, dx, _ in seen} == {(dy, dx) for dy in range(5) for dx in range(5)}
    assert {mirrored for _, _, mirrored in seen} == {False, True}


def mirror(image: np.ndarray, mirrored: bool) -> np.ndarray:
    return image[:, ::-1] if mirrored else image


def test_without_augmentation_nothing_is_drawn(pictures):
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    resident(pictures).batch(torch.arange(4), generator=generator)
    assert torch.equal(generator.get_state(), before)


@needs_gpu
def test_batches_on_a_gpu_are_those_of_the_cpu(data):
    indices = torch.arange(20)
    on_cpu, _ = Resident(data, CPU).train.batch(indices)
    on_gpu, _ = Resident(data, torch.device("cuda")).train.batch(indices.cuda())
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-5, atol=1e-5)
