"""Splitting requests over labels by weight: a pure, stable decision, and routers that read weights from a file."""

from __future__ import annotations

import functools
import hashlib
import logging
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from tfs_deploy.client.comparing import has_broken
from tfs_deploy.client.copying import MOST, Comparison, CopyThreads, kept, wanted_copies
from tfs_deploy.client.following import TrafficFollower
from tfs_deploy.client.recorder import RequestRecorder, requests_dir
from tfs_deploy.errors import InvalidArgumentError, NotFoundError, StatusError, TfsDeployError, UsageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from tfs_deploy.codec import PredictReply

FALLBACK: Final = "stable"
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


class AwaitedClient(Protocol):
    """The part of an asynchronous client that a router needs."""

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
    ) -> Awaitable[PredictReply]:
        """Run a signature of a model."""


class Split:
    """What both routers share: following the traffic file, choosing labels, recording how requests went.

    Args:
        model: the servable's name; also salts the hash, so that splits of different models are independent.
        traffic_path: see ``traffic``; looked at again at most every 0.2 s.
        fallback: the label for everything while the file says nothing of the model, and the one that is served when
            a candidate's label or version is gone.
        record: count requests, errors and latencies by label in files beside the traffic file while a rollout is on,
            so that the rollout can judge them (see ``recorder``).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        model: str,
        traffic_path: Path | str,
        *,
        fallback: str = FALLBACK,
        record: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self.fallback = fallback
        #: how many requests went to ``fallback`` because the label chosen for them was gone
        self.fallbacks = 0
        path = Path(traffic_path)
        self._traffic = TrafficFollower(path, model, fallback, clock=clock)
        self._recorder = RequestRecorder(requests_dir(path.parent, model)) if record else None

    @property
    def weights(self) -> dict[str, float]:
        """The split in force: label -> percent."""
        self._traffic.look()
        return dict(self._traffic.weights)

    def choose(self, key: str | bytes | int | None = None) -> str:
        """Return the label for a key; without key, one at random by weight."""
        self._traffic.look()
        # S311: which request is a canary is no secret
        point = random.random() if key is None else position(key, self.model)  # noqa: S311
        return choose(self._traffic.weights, point, fallback=self.fallback)

    def outcome(self, value: float, *, label: str) -> None:
        """Record what came of an answer, for an A/B comparison: 1.0 or 0.0 for a conversion, or any number.

        ``label`` is the one that answered; pass what ``choose`` returned for the request.
        """
        if self._recorder is not None and self._traffic.experimenting:
            self._recorder.outcome(label, value)

    def close(self) -> None:
        """Write what is recorded so far; the client stays open."""
        if self._recorder is not None:
            self._recorder.close()

    def _answered(self, label: str, started: float, reply: PredictReply) -> None:
        if self._recorder is None:
            return
        if self._traffic.experimenting:
            seconds = time.perf_counter() - started
            self._recorder.record(label, seconds, broken=has_broken(reply.outputs))
        else:
            self._recorder.alive()

    def _failed(self, label: str, started: float, error: TfsDeployError) -> None:
        """Record an answer that was an error; a request that was never sent says nothing of the model."""
        if self._recorder is not None and isinstance(error, StatusError) and self._traffic.experimenting:
            self._recorder.record(label, time.perf_counter() - started, error=True)

    def _falls_back(self, label: str, error: StatusError) -> bool:
        """Whether another label is to be asked, because the chosen one is gone."""
        if label == self.fallback or not _label_is_gone(error):
            return False
        _LOG.warning("%s: label %s is gone (%s), using %s", self.model, label, error.message, self.fallback)
        self.fallbacks += 1
        return True


class Router(Split):
    """Sends each request for a model to one of its labels, as the traffic file says at the moment.

    Requests with the same key go to the same label as long as the split allows it. While a rollout in shadow mode is
    on, copies go to the candidate from threads aside: they neither delay nor fail a request.

    Args:
        client: a ``Client`` or ``RestClient``.
        model: the servable's name.
        traffic_path: the traffic file of the deployment, ``.tfs-deploy/NAME/traffic.json`` beside its file.
        options: see ``Split``.
    """

    def __init__(self, client: PredictingClient, model: str, traffic_path: Path | str, **options: Any) -> None:
        super().__init__(model, traffic_path, **options)
        self.client = client
        self._threads = CopyThreads()

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
            reply = self._ask(inputs, label, wanted)
        except (InvalidArgumentError, NotFoundError) as error:
            if not self._falls_back(label, error):
                raise
            label = self.fallback
            reply = self._ask(inputs, label, wanted)
        if self._traffic.copies:
            self._copy(inputs, wanted, label, reply)
        return reply

    def _ask(self, inputs: Mapping[str, Any], label: str, wanted: dict[str, Any]) -> PredictReply:
        started = time.perf_counter()
        try:
            reply = self.client.predict(self.model, inputs, label=label, **wanted)
        except TfsDeployError as error:
            if not _label_is_gone(error):
                self._failed(label, started, error)
            raise
        self._answered(label, started, reply)
        return reply

    def _copy(self, inputs: Mapping[str, Any], wanted: dict[str, Any], served: str, reply: PredictReply) -> None:
        for label in wanted_copies(self._traffic.copies, served):
            ask = functools.partial(self.client.predict, self.model, kept(inputs), label=label, **wanted)
            self._threads.submit(ask, Comparison(label, reply, self._recorder))


class AsyncRouter(Split):
    """``Router`` for an ``AsyncClient`` or ``AsyncRestClient``: the same split, ``predict`` is awaited."""

    def __init__(self, client: AwaitedClient, model: str, traffic_path: Path | str, **options: Any) -> None:
        super().__init__(model, traffic_path, **options)
        self.client = client
        self._copies: set[asyncio.Task[None]] = set()

    async def predict(
        self,
        inputs: Mapping[str, Any],
        *,
        key: str | bytes | int | None = None,
        label: str | None = None,
        signature: str | None = None,
        output_filter: Iterable[str] = (),
        timeout: float | None = None,
    ) -> PredictReply:
        """Predict on the label chosen for ``key``; see ``Router.predict``."""
        label = self.choose(key) if label is None else label
        wanted: dict[str, Any] = {"signature": signature, "output_filter": tuple(output_filter), "timeout": timeout}
        try:
            reply = await self._ask(inputs, label, wanted)
        except (InvalidArgumentError, NotFoundError) as error:
            if not self._falls_back(label, error):
                raise
            label = self.fallback
            reply = await self._ask(inputs, label, wanted)
        if self._traffic.copies:
            self._copy(inputs, wanted, label, reply)
        return reply

    async def _ask(self, inputs: Mapping[str, Any], label: str, wanted: dict[str, Any]) -> PredictReply:
        started = time.perf_counter()
        try:
            reply = await self.client.predict(self.model, inputs, label=label, **wanted)
        except TfsDeployError as error:
            if not _label_is_gone(error):
                self._failed(label, started, error)
            raise
        self._answered(label, started, reply)
        return reply

    def _copy(self, inputs: Mapping[str, Any], wanted: dict[str, Any], served: str, reply: PredictReply) -> None:
        import asyncio

        for label in wanted_copies(self._traffic.copies, served):
            if len(self._copies) < MOST:
                comparison = Comparison(label, reply, self._recorder)
                task = asyncio.create_task(self._compare(kept(inputs), wanted, comparison))
                self._copies.add(task)
                task.add_done_callback(self._copies.discard)

    async def _compare(self, inputs: Mapping[str, Any], wanted: dict[str, Any], comparison: Comparison) -> None:
        comparison.start()
        try:
            reply = await self.client.predict(self.model, inputs, label=comparison.label, **wanted)
        except TfsDeployError:
            comparison.failed()
        else:
            comparison.answered(reply)


@functools.lru_cache(maxsize=64)
def _salt(text: str) -> bytes:
    """Squeeze a text into the 16 bytes that blake2b takes as salt."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _label_is_gone(error: TfsDeployError) -> bool:
    if isinstance(error, InvalidArgumentError):
        return "Unrecognized servable version label" in error.message
    return isinstance(error, NotFoundError)
