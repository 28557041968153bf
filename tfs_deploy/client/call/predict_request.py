# SPDX-License-Identifier: Apache-2.0
"""One Predict request as the caller wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.codec.messages import RequestOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.client.call.call_record import CallRecord
    from tfs_deploy.client.call.model_ref import ModelRef


class PredictOptions(RequestOptions, total=False):
    """Keyword arguments of every ``predict``."""

    timeout: float | None


class BoundOptions(PredictOptions, total=False):
    """Keyword arguments that ``model`` binds."""

    headers: Mapping[str, str] | None


class PredictRequest:
    """A Predict request.

    Attributes:
        ref: the servable.
        inputs: name -> value.
        record: the record of the client's call; the timeout counts from its beginning.
        signature: ``None`` = ``serving_default``.
        output_filter: names of the wanted outputs; none = all.
        timeout: seconds for the whole call; ``None`` = the client's.
    """

    __slots__ = ("inputs", "output_filter", "record", "ref", "signature", "timeout")

    def __init__(
        self,
        ref: ModelRef,
        inputs: Mapping[str, Any],
        record: CallRecord,
        signature: str | None = None,
        output_filter: tuple[str, ...] = (),
        timeout: float | None = None,
    ) -> None:
        self.ref = ref
        self.inputs = inputs
        self.record = record
        self.signature = signature
        self.output_filter = output_filter
        self.timeout = timeout

    def options(self) -> RequestOptions:
        """Return everything but the model's name and the inputs, as the codec takes it."""
        ref = self.ref
        return {
            "signature": self.signature,
            "label": ref.label,
            "version": ref.version,
            "output_filter": self.output_filter,
        }
