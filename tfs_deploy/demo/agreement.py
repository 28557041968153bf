# SPDX-License-Identifier: Apache-2.0
"""Compare the served model with the trained one: the held-out rows over both transports and in Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.errors import VerdictError
from tfs_deploy.report import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from tfs_deploy.client.protocols import Predictor

TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Agreement:
    """One version over one transport: its accuracy served and in Keras, and the largest difference of a probability."""

    version: int
    transport: str
    rows: int
    accuracy: float
    keras_accuracy: float
    largest_difference: float

    @property
    def ok(self) -> bool:
        """Whether the server answers like Keras."""
        return self.accuracy == self.keras_accuracy and self.largest_difference <= TOLERANCE


def agreement(
    version: int,
    transport: str,
    client: Predictor,
    rows: Mapping[str, NDArray[Any]],
    expected: Mapping[str, NDArray[Any]],
) -> Agreement:
    """Return how a version's answers to all rows compare with Keras; ``VerdictError`` if another version answers."""
    reply = client.predict("digits", {"image": rows["image"]}, version=version)
    # REST replies do not name the version (the URL did)
    if reply.version not in (None, version):
        raise VerdictError(
            f"version {reply.version} answered instead of {version}",
            hint="run the demo again; if it happens twice, it is a bug",
        )
    return Agreement(
        version=version,
        transport=transport,
        rows=len(rows["label"]),
        accuracy=_accuracy(reply["label"], rows["label"]),
        keras_accuracy=_accuracy(expected["label"], rows["label"]),
        largest_difference=float(np.abs(reply["probabilities"] - expected["probabilities"]).max()),
    )


def _accuracy(answers: NDArray[Any], truth: NDArray[Any]) -> float:
    return float((answers == truth).mean())


def agreement_table(found: Iterable[Agreement]) -> Table:
    """Return one row for each comparison."""
    columns: list[Column | str] = [
        *("version", "over", Column("rows", "right"), Column("accuracy", "right"), Column("in Keras", "right")),
        *(Column("largest difference", "right"), Column("verdict", verdict=True)),
    ]
    rows = [
        [
            *(f"{entry.version}", entry.transport, f"{entry.rows}", f"{entry.accuracy:.2%}"),
            *(f"{entry.keras_accuracy:.2%}", f"{entry.largest_difference:.1e}", "ok" if entry.ok else "DIFFERS"),
        ]
        for entry in found
    ]
    return Table.of(columns, rows)
