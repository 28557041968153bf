# SPDX-License-Identifier: Apache-2.0
"""Requests that routers record: a client that stands for labels, and what recorders have written."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec import PredictReply

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "digits"
X = np.array([1.0, 2.0], np.float32)


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines that recorders have written."""
    return [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]


def total(folder: Path, label: str, what: str) -> Any:
    """Return the sum of a count over all lines of a label."""
    return sum(line["labels"][label][what] for line in lines(folder) if label in line["labels"])


class Labels:
    """Stands for a client; ``canary`` answers twice as much."""

    def __init__(self):
        self.asked = []
        self.error = {}
        self.seen = []
        self.hold = threading.Event()
        self.hold.set()

    def predict(self, model, inputs, *, label=None, **_wanted):
        self.asked.append(label)
        if label == "canary":
            self.hold.wait(20)
        self.seen.append((label, float(np.sum(inputs["x"]))))
        if label in self.error:
            raise self.error[label]
        factor = 2 if label == "canary" else 1
        return PredictReply({"y": inputs["x"] * factor}, model=model, version=factor, signature="serving_default")
