# SPDX-License-Identifier: Apache-2.0
"""How the requests of one model are shared out over its labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class TrafficSplit:
    """How requests are shared out, in percent by label.

    ``weights`` sum to 100; ``copies`` say how many requests are also sent to a label, to be compared and dropped.
    """

    weights: Mapping[str, float]
    copies: Mapping[str, float] = field(default_factory=dict)

    def touches(self, label: str) -> bool:
        """Whether a label gets any request."""
        return self.weights.get(label, 0.0) > 0.0 or self.copies.get(label, 0.0) > 0.0
