"""One call of a client as hooks see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tfs_deploy.client.call.replies import ModelRef


class CallRecord:
    """What is known of a call: at its start the request, at its end also how it went.

    Attributes:
        method: ``predict``, ``classify``, ``regress``, ``multi_inference``, ``status``, ``metadata``, ``wait_ready``
            or ``reload``.
        model, label, version: whom it is for; at the end ``version`` is the one that answered, where it is known.
        signature: ``None`` = ``serving_default``.
        transport: ``grpc`` or ``rest``.
        headers: what is sent along; a hook's ``started`` may add some (names in lower case).
        attempts, hedges: requests sent, with those for metadata; hedges are not counted among the attempts.
        bytes_sent, bytes_received: sizes of the messages, without headers.
        seconds: from the call to its result.
        status: ``OK``, the name of a canonical code, ``CANCELLED``, or the name of another error's class.
        error: what the call raises.
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


class Hook(Protocol):
    """Is told of every call. What it raises is logged and goes no further: watching never fails a call."""

    def started(self, record: CallRecord) -> None:
        """Take note of a call before anything is sent; may add to ``record.headers``."""

    def finished(self, record: CallRecord) -> None:
        """Take note of a call that has returned or raised."""
