# SPDX-License-Identifier: Apache-2.0
"""gRPC method handlers: they turn errors into statuses, and messages into bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError

from tfs_deploy.errors import Code, InvalidArgumentError, StatusError
from tfs_deploy.protos.pieces import parse_in_pieces
from tfs_deploy.server.data_plane import UNEXPECTED_FAILURE
from tfs_deploy.server.workers import current_job, raise_if_abandoned

if TYPE_CHECKING:
    from tfs_deploy.server.workers import CallLimit

_log = logging.getLogger(__name__)

#: texts are cut here (model_servers/grpc_status_util.cc)
_MAX_TEXT: Final = 1024
_CUT: Final = "...TRUNCATED"
#: gRPC reports calls without a deadline as due in centuries
_NO_DEADLINE_SECONDS: Final = 1e7
_CODES: Final = {Code(code.value[0]): code for code in grpc.StatusCode}

#: answers a request, bytes or a list with them, with bytes
Answer = Callable[[Any, grpc.ServicerContext], bytes]
#: answers a request message, given the seconds that the client waits, with a message
MessageAnswer = Callable[[Any, "float | None"], Any]


def bytes_handler(
    answer: Answer,
    gate: CallLimit | None,
    *,
    threads: ThreadPoolExecutor | None = None,
    consume_request: bool = False,
) -> grpc.RpcMethodHandler:
    """Return the handler of a method that takes and returns bytes.

    Args:
        answer: answers a request.
        gate: refuses requests beyond a limit.
        threads: run the method here, not in the server's own.
        consume_request: hand over the bytes in a list, which ``answer`` may empty to free their memory.
    """

    def guarded(request: Any, context: grpc.ServicerContext) -> bytes:
        if gate is None:
            return answer(request, context)
        with gate:
            return answer(request, context)

    def handle(request: Any, context: grpc.ServicerContext) -> bytes:
        job = current_job()
        # false: the call has ended already, and what is returned goes nowhere
        if job is not None and not context.add_callback(job.abandon):
            return b""
        try:
            return guarded(request, context)
        except StatusError as error:
            code, text = _CODES[error.code], cut_text(error.message)
        except Exception:  # noqa: BLE001 - only this request fails
            _log.exception("a request failed")
            code, text = grpc.StatusCode.INTERNAL, UNEXPECTED_FAILURE
        finally:
            if job is not None:
                job.finish()
        context.abort(code, text)
        raise AssertionError  # abort has raised

    if threads is not None:
        handle.experimental_thread_pool = threads  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(handle, request_deserializer=_in_a_list if consume_request else None)


def message_handler(
    kind: Any,
    answer: MessageAnswer,
    gate: CallLimit | None,
    *,
    threads: ThreadPoolExecutor | None = None,
    admit: Callable[[str], None] | None = None,
) -> grpc.RpcMethodHandler:
    """Return the handler of a method that takes a message of a ``kind`` and returns one.

    ``admit`` gets the caller's address (``grpc.ServicerContext.peer``) first, and raises ``StatusError`` to refuse it.
    """

    def answer_bytes(request: bytes, context: grpc.ServicerContext) -> bytes:
        if admit is not None:
            admit(context.peer())
        try:
            message = parse_in_pieces(kind, request, raise_if_abandoned)
        except DecodeError as error:
            raise InvalidArgumentError(f"not a {kind.DESCRIPTOR.name}") from error
        data: bytes = answer(message, seconds_left(context)).SerializeToString()
        return data

    return bytes_handler(answer_bytes, gate, threads=threads)


def seconds_left(context: grpc.ServicerContext) -> float | None:
    """Return how long the client waits, ``None`` if it set no deadline."""
    remaining = context.time_remaining()
    return None if remaining is None or remaining > _NO_DEADLINE_SECONDS else remaining


def _in_a_list(data: bytes) -> list[bytes]:
    return [data]


def cut_text(text: str) -> str:
    """Cut a text at so many bytes; the rest of a character that was cut becomes the replacement character."""
    data = text.encode("utf-8", "surrogateescape")
    whole = data if len(data) <= _MAX_TEXT else data[:_MAX_TEXT] + _CUT.encode()
    return whole.decode("utf-8", "replace")
