"""Routers: each request goes to one of a model's labels or versions, by weights from code or from a traffic file."""

from __future__ import annotations

import functools
import logging
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tfs_deploy.client.routing.comparison import has_broken
from tfs_deploy.client.routing.recorder import RequestRecorder
from tfs_deploy.client.routing.shadow import MOST, Comparison, CopyThreads, Told, kept, wanted_copies
from tfs_deploy.client.routing.splitting import FALLBACK, checked_split, choose, position
from tfs_deploy.client.routing.traffic_split import FixedTraffic, TrafficFollower
from tfs_deploy.errors import InvalidArgumentError, NotFoundError, StatusError, TfsDeployError, UsageError
from tfs_deploy.state.request_tallies import requests_dir

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping

    from tfs_deploy.client.protocols import AwaitedClient, PredictingClient
    from tfs_deploy.codec import PredictReply

_LOG = logging.getLogger(__name__)


class Split:
    """What both routers share: following the traffic file, choosing labels, recording how requests went.

    Args:
        model: the servable's name; also salts the hash, so that splits of different models are independent.
        traffic_path: see ``traffic``; looked at again at most every 0.2 s.
        weights: in the place of a file: label or version number -> weight, of any sum. ``router.weights = ...`` gives
            others.
        copies: with ``weights``: label or version -> percent of the requests that are also sent there, aside, and
            compared.
        compared: is told of each copy who answered it and, by output, how far it is from what was served.
        fallback: the label for everything while the file says nothing of the model, and the one that is served when
            a candidate's label or version is gone. Default: ``stable``; of versions the lowest.
        record: count requests, errors and latencies by label in files beside the traffic file while a rollout is on,
            so that the rollout can judge them (see ``recorder``).
        clock: monotonic seconds.

    Raises:
        UsageError: neither or both of file and weights are given, or weights that are no split.
    """

    def __init__(
        self,
        model: str,
        traffic_path: Path | str | None = None,
        *,
        weights: Mapping[Any, float] | None = None,
        copies: Mapping[Any, float] | None = None,
        compared: Told | None = None,
        fallback: str | int | None = None,
        record: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if (traffic_path is None) == (weights is None):
            raise UsageError("a router needs a traffic file or weights", hint="give one of the two")
        self.model = model
        self._recorder: RequestRecorder | None = None
        self._traffic: FixedTraffic | TrafficFollower
        if weights is not None:
            self._traffic = FixedTraffic(checked_split(weights), checked_split(copies or {}))
            lowest = min(weights) if all(isinstance(place, int) for place in weights) else FALLBACK
            self.fallback: str | int = lowest if fallback is None else fallback
        else:
            path = Path(cast("Path | str", traffic_path))
            self.fallback = label = FALLBACK if fallback is None else str(fallback)
            self._traffic = TrafficFollower(path, model, label, clock=clock)
            self._recorder = RequestRecorder(requests_dir(path.parent, model)) if record else None
        self._compared = compared
        #: how many requests went to ``fallback`` because the label chosen for them was gone
        self.fallbacks = 0

    @property
    def weights(self) -> dict[Any, float]:
        """The split in force: label or version -> weight."""
        self._traffic.look()
        return dict(self._traffic.weights)

    @weights.setter
    def weights(self, weights: Mapping[Any, float]) -> None:
        if not isinstance(self._traffic, FixedTraffic):
            raise UsageError("this router's weights come from its traffic file", hint="use write_traffic")
        self._traffic.weights = checked_split(weights)

    def choose(self, key: str | bytes | int | None = None) -> Any:
        """Return the label (or version) for a key; without key, one at random by weight."""
        self._traffic.look()
        # S311: which request is a canary is no secret
        point = random.random() if key is None else position(key, self.model)  # noqa: S311
        return choose(self._traffic.weights, point, fallback=self.fallback)

    def outcome(self, value: float, *, label: str | int) -> None:
        """Record what came of an answer, for an A/B comparison: 1.0 or 0.0 for a conversion, or any number.

        ``label`` is the one that answered; pass what ``choose`` returned for the request.
        """
        if self._recorder is not None and self._traffic.experimenting:
            self._recorder.outcome(str(label), value)

    def close(self) -> None:
        """Write what is recorded so far; the client stays open."""
        if self._recorder is not None:
            self._recorder.close()

    def _answered(self, label: str | int, started: float, reply: PredictReply) -> None:
        if self._recorder is None:
            return
        if self._traffic.experimenting:
            seconds = time.perf_counter() - started
            self._recorder.record(str(label), seconds, broken=has_broken(reply.outputs))
        else:
            self._recorder.alive()

    def _failed(self, label: str | int, started: float, error: TfsDeployError) -> None:
        """Record an answer that was an error; a request that was never sent says nothing of the model."""
        if self._recorder is not None and isinstance(error, StatusError) and self._traffic.experimenting:
            self._recorder.record(str(label), time.perf_counter() - started, error=True)

    def _falls_back(self, label: str | int, error: StatusError) -> bool:
        """Whether another label is to be asked, because the chosen one is gone."""
        if label == self.fallback or not _label_is_gone(error):
            return False
        kind = "version" if isinstance(label, int) else "label"
        _LOG.warning("%s: %s %s is gone (%s), using %s", self.model, kind, label, error.message, self.fallback)
        self.fallbacks += 1
        return True


class Router(Split):
    """Sends each request for a model to one of its labels or versions, as the weights say at the moment.

    Requests with the same key go to the same label as long as the split allows it. Copies, as of a rollout in shadow
    mode, go to the candidate from threads aside: they neither delay nor fail a request.

    Args:
        client: a ``Client`` or ``RestClient``.
        model: the servable's name.
        traffic_path: the traffic file of the deployment, ``.tfs-deploy/NAME/traffic.json`` beside its file; or none,
            with ``weights``.
        options: see ``Split``.
    """

    def __init__(
        self, client: PredictingClient, model: str, traffic_path: Path | str | None = None, **options: Any
    ) -> None:
        super().__init__(model, traffic_path, **options)
        self.client = client
        self._threads = CopyThreads()

    def predict(
        self,
        inputs: Mapping[str, Any],
        *,
        key: str | bytes | int | None = None,
        label: str | int | None = None,
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
            timeout: seconds for everything, asking the fallback too; ``None`` = the client's, for each of the two.

        Raises:
            RequestError, StatusError: as ``Client.predict``.
        """
        label = self.choose(key) if label is None else label
        wanted: dict[str, Any] = {"signature": signature, "output_filter": tuple(output_filter), "timeout": timeout}
        started = time.monotonic()
        try:
            reply = self._ask(inputs, label, wanted)
        except (InvalidArgumentError, NotFoundError) as error:
            if not self._falls_back(label, error):
                raise
            label = self.fallback
            reply = self._ask(inputs, label, {**wanted, "timeout": _left(timeout, started, error)})
        if self._traffic.copies:
            self._copy(inputs, wanted, label, reply)
        return reply

    def _ask(self, inputs: Mapping[str, Any], label: str | int, wanted: dict[str, Any]) -> PredictReply:
        started = time.perf_counter()
        try:
            reply = self.client.predict(self.model, inputs, **_where(label), **wanted)
        except TfsDeployError as error:
            if not _label_is_gone(error):
                self._failed(label, started, error)
            raise
        self._answered(label, started, reply)
        return reply

    def _copy(self, inputs: Mapping[str, Any], wanted: dict[str, Any], served: str | int, reply: PredictReply) -> None:
        for label in wanted_copies(self._traffic.copies, served):
            ask = functools.partial(self.client.predict, self.model, kept(inputs), **_where(label), **wanted)
            self._threads.submit(ask, Comparison(label, reply, self._recorder, self._compared))


class AsyncRouter(Split):
    """``Router`` for an ``AsyncClient`` or ``AsyncRestClient``: the same split, ``predict`` is awaited."""

    def __init__(
        self, client: AwaitedClient, model: str, traffic_path: Path | str | None = None, **options: Any
    ) -> None:
        super().__init__(model, traffic_path, **options)
        self.client = client
        self._copies: set[asyncio.Task[None]] = set()

    async def predict(
        self,
        inputs: Mapping[str, Any],
        *,
        key: str | bytes | int | None = None,
        label: str | int | None = None,
        signature: str | None = None,
        output_filter: Iterable[str] = (),
        timeout: float | None = None,
    ) -> PredictReply:
        """Predict on the label chosen for ``key``; see ``Router.predict``."""
        label = self.choose(key) if label is None else label
        wanted: dict[str, Any] = {"signature": signature, "output_filter": tuple(output_filter), "timeout": timeout}
        started = time.monotonic()
        try:
            reply = await self._ask(inputs, label, wanted)
        except (InvalidArgumentError, NotFoundError) as error:
            if not self._falls_back(label, error):
                raise
            label = self.fallback
            reply = await self._ask(inputs, label, {**wanted, "timeout": _left(timeout, started, error)})
        if self._traffic.copies:
            self._copy(inputs, wanted, label, reply)
        return reply

    async def _ask(self, inputs: Mapping[str, Any], label: str | int, wanted: dict[str, Any]) -> PredictReply:
        started = time.perf_counter()
        try:
            reply = await self.client.predict(self.model, inputs, **_where(label), **wanted)
        except TfsDeployError as error:
            if not _label_is_gone(error):
                self._failed(label, started, error)
            raise
        self._answered(label, started, reply)
        return reply

    def _copy(self, inputs: Mapping[str, Any], wanted: dict[str, Any], served: str | int, reply: PredictReply) -> None:
        import asyncio

        for label in wanted_copies(self._traffic.copies, served):
            if len(self._copies) < MOST:
                comparison = Comparison(label, reply, self._recorder, self._compared)
                task = asyncio.create_task(self._compare(kept(inputs), wanted, comparison))
                self._copies.add(task)
                task.add_done_callback(self._copies.discard)

    async def _compare(self, inputs: Mapping[str, Any], wanted: dict[str, Any], comparison: Comparison) -> None:
        comparison.start()
        try:
            reply = await self.client.predict(self.model, inputs, **_where(comparison.label), **wanted)
        except TfsDeployError:
            comparison.failed()
        else:
            comparison.answered(reply)


def _left(timeout: float | None, started: float, error: StatusError) -> float | None:
    """Return the seconds that are left for the fallback; raise the error of the label where none are."""
    if timeout is None:
        return None
    left = timeout - (time.monotonic() - started)
    if left <= 0:
        raise error
    return left


def _where(place: str | int) -> dict[str, Any]:
    return {"version": place} if isinstance(place, int) else {"label": place}


def _label_is_gone(error: TfsDeployError) -> bool:
    if isinstance(error, InvalidArgumentError):
        return "Unrecognized servable version label" in error.message
    return isinstance(error, NotFoundError)
