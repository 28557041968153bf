# SPDX-License-Identifier: Apache-2.0
"""The data of the demo: 1,797 scans of handwritten digits.

The test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, 1998; UCI Machine Learning
Repository, doi 10.24432/C50P49, CC BY 4.0), which scikit-learn calls ``load_digits``. It is in the package because
Keras imports scikit-learn wherever it is installed, which takes a fifth of TensorFlow's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILE = Path(__file__).with_name("digits.npz")
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


def load_digits(seed: int = SEED) -> Digits:
    """Return the scans; one seed always splits them the same way."""
    with np.load(_FILE) as scans:
        images, labels = scans["images"].astype(np.float32), scans["labels"].astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    held_out = int(len(labels) * HELD_OUT)
    test, train = order[:held_out], order[held_out:]
    return Digits(images[train], labels[train], images[test], labels[test])
