"""One Predict, as its caller wrote it: the value that every part of a client is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.codec.messages import RequestOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.client.call.call_record import CallRecord
    from tfs_deploy.client.call.replies import ModelRef
    from tfs_deploy.client.call.steps import Call, Failure


class PredictOptions(RequestOptions, total=False):
    """Keyword arguments that every ``predict`` takes."""

    timeout: float | None


class PredictRequest:
    """Whom it is for, what is asked, and how far it is.

    Attributes:
        timeout: seconds for everything, ``None`` = the client's.
        record: the client's call; its beginning is when the seconds begin to count.
        call: how the request is sent in a single step, where it is like an earlier one.
        failure: how that went, where it failed and there is time for more.
    """

    __slots__ = ("call", "failure", "inputs", "output_filter", "record", "ref", "signature", "timeout")

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
        self.call: Call | None = None
        self.failure: Failure | None = None

    def options(self) -> RequestOptions:
        """Return all but the model's name and the inputs as the codec takes it."""
        ref = self.ref
        return {
            "signature": self.signature,
            "label": ref.label,
            "version": ref.version,
            "output_filter": self.output_filter,
        }
