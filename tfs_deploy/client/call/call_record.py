# SPDX-License-Identifier: Apache-2.0
"""The record of one call, as hooks see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfs_deploy.client.call.model_ref import ModelRef


class CallRecord:
    """What is known about a call: the request when it starts, and the outcome when it ends.

    Attributes:
        method: ``predict``, ``classify``, ``regress``, ``multi_inference``, ``status``, ``metadata``, ``wait_ready``
            or ``reload``.
        model, label, version: the servable; when the call has ended, ``version`` is the one that answered, if known.
        signature: ``None`` = ``serving_default``.
        transport: ``grpc`` or ``rest``.
        headers: what is sent along; a hook's ``started`` may add headers (lower-case names).
        attempts, hedges: requests sent, including those for metadata; hedges do not count as attempts.
        bytes_sent, bytes_received: sizes of the messages, without headers.
        seconds: from the start of the call to its result.
        status: ``OK``, the name of a canonical code, ``CANCELLED``, or the class name of any other error.
        error: the exception that the call raises.
    """

    __slots__ = (
        "__weakref__", "attempts", "began", "bytes_received", "bytes_sent", "error", "headers", "hedges", "label",
        "method", "model", "seconds", "signature", "status", "transport", "version",
    )  # fmt: skip

    def __init__(
        self, method: str, ref: ModelRef, signature: str | None, transport: str, headers: dict[str, str], began: float
    ) -> None:
        self.method = method
        self.model = ref.name
        self.label = ref.label
        self.version = ref.version
        self.signature = signature
        self.transport = transport
        self.headers = headers
        self.attempts = self.hedges = 0
        self.bytes_sent = self.bytes_received = 0
        self.seconds = 0.0
        self.status = "OK"
        self.error: BaseException | None = None
        self.began = began

    def __repr__(self) -> str:
        return f"CallRecord({self.method} {self.model}: {self.status}, {self.attempts} attempts, {self.seconds:.4f} s)"
