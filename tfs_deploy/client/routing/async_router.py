# SPDX-License-Identifier: Apache-2.0
"""The router for asynchronous clients."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from tfs_deploy.client.call.status_errors import is_missing
from tfs_deploy.client.routing.router_base import RouterBase, label_or_version, remaining
from tfs_deploy.client.routing.shadow import MAX_PENDING, ShadowRequest, copy_inputs, sample_copies
from tfs_deploy.errors import InvalidArgumentError, NotFoundError, TfsDeployError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from typing_extensions import Unpack

    from tfs_deploy.client.protocols import AsyncPredictClient
    from tfs_deploy.client.routing.router_base import RouterOptions
    from tfs_deploy.codec import PredictReply


class AsyncRouter(RouterBase):
    """``Router`` for an ``AsyncClient`` or ``AsyncRestClient``: the same split, and ``predict`` is awaited."""

    def __init__(
        self,
        client: AsyncPredictClient,
        model: str,
        traffic_path: Path | str | None = None,
        **options: Unpack[RouterOptions],
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
        """Predict with the label chosen for ``key``; see ``Router.predict``."""
        label = self.choose(key) if label is None else label
        options: dict[str, Any] = {"signature": signature, "output_filter": tuple(output_filter), "timeout": timeout}
        started = time.monotonic()
        try:
            reply = await self._send(inputs, label, options)
        except (InvalidArgumentError, NotFoundError) as error:
            if not self._falls_back(label, error):
                raise
            label = self.fallback
            reply = await self._send(inputs, label, {**options, "timeout": remaining(timeout, started, error)})
        if self._split.copies:
            self._send_copies(inputs, options, label, reply)
        return reply

    async def _send(self, inputs: Mapping[str, Any], label: str | int, options: dict[str, Any]) -> PredictReply:
        started = time.perf_counter()
        try:
            reply = await self.client.predict(self.model, inputs, **label_or_version(label), **options)
        except TfsDeployError as error:
            if not is_missing(error):
                self._record_error(label, started, error)
            raise
        self._record_reply(label, started, reply)
        return reply

    def _send_copies(
        self, inputs: Mapping[str, Any], options: dict[str, Any], served_by: str | int, reply: PredictReply
    ) -> None:
        for label in sample_copies(self._split.copies, served_by):
            if len(self._copies) < MAX_PENDING:
                shadow = ShadowRequest(label, reply, self._recorder, self._compared)
                task = asyncio.create_task(self._send_copy(copy_inputs(inputs), options, shadow))
                self._copies.add(task)
                task.add_done_callback(self._copies.discard)

    async def _send_copy(self, inputs: Mapping[str, Any], options: dict[str, Any], shadow: ShadowRequest) -> None:
        shadow.start()
        try:
            reply = await self.client.predict(self.model, inputs, **label_or_version(shadow.label), **options)
        except TfsDeployError:
            shadow.failed()
        else:
            shadow.answered(reply)
