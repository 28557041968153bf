# SPDX-License-Identifier: Apache-2.0
"""The router: sends each request to one of a model's labels or versions, by weight."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from tfs_deploy.client.call.status_errors import is_missing
from tfs_deploy.client.routing.router_base import RouterBase, label_or_version, remaining
from tfs_deploy.client.routing.shadow import ShadowRequest, ShadowThreads, copy_inputs, sample_copies
from tfs_deploy.errors import InvalidArgumentError, NotFoundError, TfsDeployError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from typing_extensions import Unpack

    from tfs_deploy.client.protocols import PredictClient
    from tfs_deploy.client.routing.router_base import RouterOptions
    from tfs_deploy.codec import PredictReply


class Router(RouterBase):
    """Sends each request for a model to one of its labels or versions, by the current weights.

    Requests with the same key go to the same label as long as the split allows it. Copies, as in a rollout in shadow
    mode, are sent to the candidate by background threads: they neither delay nor fail a request.

    Args:
        client: a ``Client`` or ``RestClient``.
        model: the servable's name.
        traffic_path: the traffic file of the deployment, ``.tfs-deploy/NAME/traffic.json`` beside the deployment file;
            ``None`` with ``weights``.
        weights: instead of a file: label or version number -> weight; the weights may have any sum.
        copies: with ``weights``: label or version -> percent of the requests that are also sent there in the
            background, and compared.
        compared: called for each copy with the label that answered and, by output, the difference from the reply that
            was served.
        fallback: the label for all requests while the file does not name the model, and for requests whose label or
            version is gone; default: ``stable``, or the lowest version.
        record: count requests, errors and latencies by label during a rollout, which judges them.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: PredictClient,
        model: str,
        traffic_path: Path | str | None = None,
        **options: Unpack[RouterOptions],
    ) -> None:
        super().__init__(model, traffic_path, **options)
        self.client = client
        self._threads = ShadowThreads()

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
        """Predict with the label chosen for ``key``, or with ``fallback`` if that label is no longer served.

        Args:
            inputs: see ``Client.predict``, as for the arguments after ``label``.
            key: always goes to the same label; without it, the label is random.
            label: what ``choose`` returned, for a caller who needs the label beforehand.
            signature: the signature to run.
            output_filter: names of the wanted outputs.
            timeout: seconds for the whole call, including the fallback; ``None`` = the client's, for each of the two.

        Raises:
            RequestError, StatusError: as ``Client.predict``.
        """
        label = self.choose(key) if label is None else label
        options: dict[str, Any] = {"signature": signature, "output_filter": tuple(output_filter), "timeout": timeout}
        started = time.monotonic()
        try:
            reply = self._send(inputs, label, options)
        except (InvalidArgumentError, NotFoundError) as error:
            if not self._falls_back(label, error):
                raise
            label = self.fallback
            reply = self._send(inputs, label, {**options, "timeout": remaining(timeout, started, error)})
        if self._split.copies:
            self._send_copies(inputs, options, label, reply)
        return reply

    def _send(self, inputs: Mapping[str, Any], label: str | int, options: dict[str, Any]) -> PredictReply:
        started = time.perf_counter()
        try:
            reply = self.client.predict(self.model, inputs, **label_or_version(label), **options)
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
            place = label_or_version(label)
            send = functools.partial(self.client.predict, self.model, copy_inputs(inputs), **place, **options)
            self._threads.submit(send, ShadowRequest(label, reply, self._recorder, self._compared))
