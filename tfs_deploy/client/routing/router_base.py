# SPDX-License-Identifier: Apache-2.0
"""What both routers share: the traffic split, the choice of a label, and the recording of requests."""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from tfs_deploy.client.call.status_errors import is_missing
from tfs_deploy.client.routing.comparison import has_broken
from tfs_deploy.client.routing.label_choice import FALLBACK, checked_weights, choose, position
from tfs_deploy.client.routing.recorder import RequestRecorder
from tfs_deploy.client.routing.traffic_split import FileTrafficSplit, FixedTrafficSplit
from tfs_deploy.errors import StatusError, TfsDeployError, UsageError
from tfs_deploy.state.request_tallies import requests_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.client.routing.shadow import ComparisonCallback
    from tfs_deploy.codec import PredictReply

_LOG = logging.getLogger(__name__)


class RouterOptions(TypedDict, total=False):
    """Keyword arguments of the routers; see ``RouterBase``."""

    weights: Mapping[Any, float] | None
    copies: Mapping[Any, float] | None
    compared: ComparisonCallback | None
    fallback: str | int | None
    record: bool
    clock: Callable[[], float]


class RouterBase:
    """A model's traffic split.

    Args:
        model: the servable's name; it also salts the hash of keys, so that the splits of models are independent.
        traffic_path: see ``state.traffic``; read again at most every 0.2 s.
        weights: instead of a file: label or version number -> weight; the weights may have any sum. Assign
            ``router.weights`` to change them.
        copies: with ``weights``: label or version -> percent of the requests that are also sent there in the
            background, and compared.
        compared: called for each copy with the label that answered and, by output, the difference from the reply that
            was served.
        fallback: the label for all requests while the file does not name the model, and for requests whose label or
            version is gone. Default: ``stable``; the lowest version if the weights are for versions.
        record: count requests, errors and latencies by label in files beside the traffic file during a rollout, which
            judges them (see ``recorder``).
        clock: monotonic seconds.

    Raises:
        UsageError: both or neither of file and weights are given, or the weights are not valid.
    """

    def __init__(
        self,
        model: str,
        traffic_path: Path | str | None = None,
        *,
        weights: Mapping[Any, float] | None = None,
        copies: Mapping[Any, float] | None = None,
        compared: ComparisonCallback | None = None,
        fallback: str | int | None = None,
        record: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if (traffic_path is None) == (weights is None):
            raise UsageError("a router needs a traffic file or weights", hint="give one of the two")
        self.model = model
        self._recorder: RequestRecorder | None = None
        self._split: FixedTrafficSplit | FileTrafficSplit
        if weights is not None:
            self._split = FixedTrafficSplit(checked_weights(weights), checked_weights(copies or {}))
            lowest = min(weights) if all(isinstance(place, int) for place in weights) else FALLBACK
            self.fallback: str | int = lowest if fallback is None else fallback
        else:
            path = Path(cast("Path | str", traffic_path))
            self.fallback = label = FALLBACK if fallback is None else str(fallback)
            self._split = FileTrafficSplit(path, model, label, clock=clock)
            self._recorder = RequestRecorder(requests_dir(path.parent, model)) if record else None
        self._compared = compared
        #: the number of requests that went to ``fallback`` because the label chosen for them was gone
        self.fallbacks = 0

    @property
    def weights(self) -> dict[Any, float]:
        """The current split: label or version -> weight."""
        self._split.refresh()
        return dict(self._split.weights)

    @weights.setter
    def weights(self, weights: Mapping[Any, float]) -> None:
        if not isinstance(self._split, FixedTrafficSplit):
            raise UsageError("this router's weights come from its traffic file", hint="use write_traffic")
        self._split.weights = checked_weights(weights)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, {self._split.weights}, fallback={self.fallback!r})"

    def choose(self, key: str | bytes | int | None = None) -> Any:
        """Return the label (or version) for a key; without a key, a random one by weight."""
        self._split.refresh()
        # S311: which request goes to the canary is no secret
        point = random.random() if key is None else position(key, self.model)  # noqa: S311
        return choose(self._split.weights, point, fallback=self.fallback)

    def outcome(self, value: float, *, label: str | int) -> None:
        """Record the outcome of a reply, for an A/B comparison: 1.0 or 0.0 for a conversion, or any number.

        ``label`` is the one that answered; pass what ``choose`` returned for the request.
        """
        if self._recorder is not None and self._split.experimenting:
            self._recorder.outcome(str(label), value)

    def close(self) -> None:
        """Write what is recorded so far; the client stays open."""
        if self._recorder is not None:
            self._recorder.close()

    def _record_reply(self, label: str | int, started: float, reply: PredictReply) -> None:
        if self._recorder is None:
            return
        if self._split.experimenting or self._recorder.watched:
            seconds = time.perf_counter() - started
            self._recorder.record(str(label), seconds, broken=has_broken(reply.outputs))
        else:
            self._recorder.alive()

    def _record_error(self, label: str | int, started: float, error: TfsDeployError) -> None:
        """Record a reply that was an error; a request that was never sent says nothing about the model."""
        if self._recorder is None or not isinstance(error, StatusError):
            return
        if self._split.experimenting or self._recorder.watched:
            self._recorder.record(str(label), time.perf_counter() - started, error=True)

    def _falls_back(self, label: str | int, error: StatusError) -> bool:
        """Return whether to use the fallback because the chosen label is gone; count and log it."""
        if label == self.fallback or not is_missing(error):
            return False
        kind = "version" if isinstance(label, int) else "label"
        _LOG.warning("%s: %s %s is gone (%s), using %s", self.model, kind, label, error.message, self.fallback)
        self.fallbacks += 1
        return True


def remaining(timeout: float | None, started: float, error: StatusError) -> float | None:
    """Return the seconds that are left for the fallback; raise the error of the chosen label if none are left."""
    if timeout is None:
        return None
    left = timeout - (time.monotonic() - started)
    if left <= 0:
        raise error
    return left


def label_or_version(place: str | int) -> dict[str, Any]:
    """Return the arguments of ``predict`` for a label or a version."""
    return {"version": place} if isinstance(place, int) else {"label": place}
