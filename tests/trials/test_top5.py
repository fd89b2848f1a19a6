"""Top-5 accuracy: measured with every evaluation where there are more than ten classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics

from tests.trials.test_scores import Shown, resident
from trials.train import evaluate


@pytest.mark.parametrize("classes", [10, 11, 30])
def test_it_is_scikit_learns_from_eleven_classes_on(classes):
    rng = np.random.default_rng(classes)
    logits = np.stack([rng.permutation(classes) for _ in range(200)]).astype(np.uint8)
    labels = rng.integers(0, classes, 200)
    data = resident(logits[:, None, None, :], labels, classes)
    found = evaluate(Shown(), data.validation)
    if classes == 10:
        assert found.top5 is None
    else:
        every = np.arange(classes)
        expected = metrics.top_k_accuracy_score(labels, logits, k=5, labels=every)
        assert found.top5 == pytest.approx(expected)
    assert torch.equal(found.right, torch.from_numpy(logits.argmax(1) == labels))
