# SPDX-License-Identifier: Apache-2.0
"""The choice of a label or version by weight: pure, and the same in every process and release."""

from __future__ import annotations

import functools
import hashlib
import math
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Place = TypeVar("Place", str, int)
FALLBACK: Final = "stable"


def position(key: str | bytes | int, salt: str = "") -> float:
    """Return the position of a key, such as a user id, in [0, 1): always the same for the same salt."""
    data = key if isinstance(key, bytes) else str(key).encode()
    digest = hashlib.blake2b(data, digest_size=8, salt=_salt(salt)).digest()
    # a float in [0, 1) holds 53 bits
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def choose(weights: Mapping[Place, float], point: float, *, fallback: str | int = FALLBACK) -> Place:
    """Return the label (or version) whose share of [0, 1) holds ``point``.

    The candidates' shares lie at the two ends, with ``fallback`` between them: when a candidate's weight grows at the
    fallback's expense, keys only move from the fallback to that candidate, and none between others. With more than two
    candidates, that holds for the last two in the order of their names.

    Raises:
        UsageError: no weight is greater than 0.
    """
    total = sum(weights.values())
    if not total > 0:
        raise UsageError("no label gets any traffic", hint="give at least one label a weight greater than 0")
    edge = 0.0
    last: Place | None = None
    for label in _order(tuple(weights), fallback):
        if weights[label] <= 0:
            continue
        edge += weights[label] / total
        last = label
        if point < edge:
            break
    # rounding may leave the last edge just below 1
    return cast("Place", last)


@functools.lru_cache(maxsize=256)
def _order(labels: tuple[Any, ...], fallback: str | int) -> tuple[Any, ...]:
    """Return the labels in the order of their shares; one without weight keeps its place."""
    candidates = sorted(label for label in labels if label != fallback)
    middle = [fallback] if fallback in labels else []
    last = candidates.pop() if len(candidates) > 1 else None
    return (*candidates, *middle, *([] if last is None else [last]))


def checked_weights(weights: Mapping[Any, float]) -> dict[Any, float]:
    """Return the weights; ``UsageError`` unless they are numbers of 0 or more, all for labels or all for versions."""
    if len({isinstance(place, int) for place in weights}) > 1:
        raise UsageError(
            "weights are for labels or for versions, not for both", hint="use only labels, or only version numbers"
        )
    for place, weight in weights.items():
        if not isinstance(place, (str, int)) or isinstance(place, bool):
            raise UsageError(f"not a valid label or version: {place!r}", hint="give text, or a version's number")
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
            raise UsageError(f"not a valid weight for {place}: {weight!r}", hint="give a number of 0 or more")
    return dict(weights)


@functools.lru_cache(maxsize=64)
def _salt(text: str) -> bytes:
    """Return a text as the 16 bytes that blake2b takes as salt."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
