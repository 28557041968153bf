"""Splitting requests over labels by weight: a pure, stable decision, and a router that reads weights from a file."""

from __future__ import annotations

import functools
import hashlib
import logging
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from tfs_deploy.client.traffic import read_traffic
from tfs_deploy.errors import EnvironmentFault, InvalidArgumentError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tfs_deploy.codec import PredictReply

FALLBACK: Final = "stable"
#: seconds between two looks at the traffic file
_INTERVAL: Final = 0.2
_LOG = logging.getLogger(__name__)


def position(key: str | bytes | int, salt: str = "") -> float:
    """Place a key (a user id, say) in [0, 1): always at the same point for the same salt."""
    data = key if isinstance(key, bytes) else str(key).encode()
    digest = hashlib.blake2b(data, digest_size=8, salt=_salt(salt)).digest()
    # 53 bits are what a float in [0, 1) holds
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def choose(weights: Mapping[str, float], point: float, *, fallback: str = FALLBACK) -> str:
    """Return the label whose share of [0, 1) holds ``point``.

    The shares follow the labels' names, with ``fallback`` last: when a candidate's weight grows at the fallback's
    expense, keys only move from the fallback to the candidate, and none between other labels.

    Raises:
        UsageError: no weight is greater than 0.
    """
    total = sum(weights.values())
    if not total > 0:
        raise UsageError("no label gets any traffic", hint="give at least one label a weight greater than 0")
    order = sorted(
        (label for label, weight in weights.items() if weight > 0), key=lambda label: (label == fallback, label)
    )
    edge = 0.0
    for label in order:
        edge += weights[label] / total
        if point < edge:
            return label
    # rounding may leave the last edge just below 1
    return order[-1]


class PredictingClient(Protocol):
    """The part of a client that a router needs."""

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        signature: str | None = None,
        label: str | None = None,
        version: int | None = None,
        output_filter: Iterable[str] = (),
        timeout: float | None = None,
    ) -> PredictReply:
        """Run a signature of a model."""


class Router:
    """Sends each request for a model to one of its labels, as the traffic file says at the moment.

    The file is looked at again at most every 0.2 s. Without file, or without the model in it, everything goes to
    ``fallback``. Requests with the same key go to the same label as long as the split allows it.

    Args:
        client: a ``Client`` or ``RestClient``.
        model: the servable's name; also salts the hash, so that splits of different models are independent.
        traffic_path: see ``traffic``.
        fallback: the label that is served when a candidate's label or version is gone.
    """

    def __init__(
        self,
        client: PredictingClient,
        model: str,
        traffic_path: Path | str,
        *,
        fallback: str = FALLBACK,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.model = model
        self.fallback = fallback
        #: how many requests went to ``fallback`` because the label chosen for them was gone
        self.fallbacks = 0
        self._path = Path(traffic_path)
        self._clock = clock
        self._looked = -_INTERVAL
        self._stamp: tuple[int, int, int] | None = None
        self._weights = {fallback: 100.0}
        self._look()

    @property
    def weights(self) -> dict[str, float]:
        """The split in force: label -> percent."""
        self._look()
        return dict(self._weights)

    def choose(self, key: str | bytes | int | None = None) -> str:
        """Return the label for a key; without key, one at random by weight."""
        self._look()
        # S311: which request is a canary is no secret
        point = random.random() if key is None else position(key, self.model)  # noqa: S311
        return choose(self._weights, point, fallback=self.fallback)

    def predict(
        self,
        inputs: Mapping[str, Any],
        *,
        key: str | bytes | int | None = None,
        label: str | None = None,
        signature: str | None = None,
        output_filter: Iterable[str] = (),
        timeout: float | None = None,
    ) -> PredictReply:
        """Predict on the label chosen for ``key``; on ``fallback`` if that label is not served any more.

        Args:
            inputs: see ``Client.predict``, as the arguments after ``label``.
            key: what sticks to a label; without it, chance decides.
            label: what ``choose`` returned, for a caller who has to know it beforehand.
            signature: the signature to run.
            output_filter: names of the wanted outputs.
            timeout: seconds for each of the two attempts.

        Raises:
            RequestError, StatusError: as ``Client.predict``.
        """
        label = self.choose(key) if label is None else label
        wanted: dict[str, Any] = {"signature": signature, "output_filter": tuple(output_filter), "timeout": timeout}
        try:
            return self.client.predict(self.model, inputs, label=label, **wanted)
        except (InvalidArgumentError, NotFoundError) as error:
            if label == self.fallback or not _label_is_gone(error):
                raise
            _LOG.warning("%s: label %s is gone (%s), using %s", self.model, label, error.message, self.fallback)
        self.fallbacks += 1
        return self.client.predict(self.model, inputs, label=self.fallback, **wanted)

    def _look(self) -> None:
        """Read the file again if it may have changed; keep the split in force while it is damaged."""
        now = self._clock()
        if now - self._looked < _INTERVAL:
            return
        first = self._looked < 0
        self._looked = now
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        except FileNotFoundError:
            stamp = None
        if stamp == self._stamp and not first:
            return
        try:
            traffic = read_traffic(self._path)
        except EnvironmentFault as error:
            if first:
                raise
            _LOG.warning("%s; the split stays %s", error.message, self._weights)
        else:
            self._weights = traffic.models.get(self.model) or {self.fallback: 100.0}
        self._stamp = stamp


@functools.lru_cache(maxsize=64)
def _salt(text: str) -> bytes:
    """Squeeze a text into the 16 bytes that blake2b takes as salt."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _label_is_gone(error: InvalidArgumentError | NotFoundError) -> bool:
    return isinstance(error, NotFoundError) or "Unrecognized servable version label" in error.message
