# SPDX-License-Identifier: Apache-2.0
"""The data of the demo: scikit-learn's 1,797 scans of handwritten digits (part of its package)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.extras import import_extra

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: share of the scans that no model sees in training
HELD_OUT = 0.2
SEED = 7


@dataclass(frozen=True)
class Digits:
    """Scans as float32 [n, 8, 8] with values 0 to 16, labels as int64 [n]; held-out rows are separate."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def load_digits() -> Digits:
    """Return the scans, always split the same way; ``MissingExtraError`` without scikit-learn."""
    datasets: Any = import_extra("sklearn.datasets", "demo")
    bunch = datasets.load_digits()
    images = bunch.images.astype(np.float32)
    labels = bunch.target.astype(np.int64)
    order = np.random.default_rng(SEED).permutation(len(labels))
    held_out = int(len(labels) * HELD_OUT)
    test, train = order[:held_out], order[held_out:]
    return Digits(images[train], labels[train], images[test], labels[test])
