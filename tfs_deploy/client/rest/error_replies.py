# SPDX-License-Identifier: Apache-2.0
"""What an HTTP reply that is not OK says: the server's own JSON, or the text of a gateway on the way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin

from tfs_deploy.client.call.status_errors import gateway_error, redirected_error, rest_error, server_error
from tfs_deploy.codec.json.client import parse_json
from tfs_deploy.errors import DataLossError
from tfs_deploy.host.http_replies import reply_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.errors import StatusError


def reply_error(status: int, headers: Mapping[str, str], body: bytes, url: str) -> StatusError:
    """Return the error for an HTTP reply.

    Args:
        status: the HTTP status.
        headers: those of the reply, in lower case. With ``grpc-status`` a gateway answers in the words of gRPC.
        body: the bytes after the headers.
        url: what was asked.
    """
    message = _own_message(body)
    if message is not None:
        return rest_error(status, message, url)
    text = reply_text(body)
    grpc_status = headers.get("grpc-status", "")
    if grpc_status.isdecimal() and int(grpc_status):
        return server_error(int(grpc_status), unquote(headers.get("grpc-message", "")) or text)
    location = headers.get("location")
    if 300 <= status < 400 and location:
        return redirected_error(status, url, urljoin(url, location))
    return gateway_error(status, text, url)


def _own_message(body: bytes) -> str | None:
    """Return the text in ``{"error": ...}``, which is how the model server answers."""
    try:
        document = parse_json(body)
    except DataLossError:
        return None
    message = document.get("error") if isinstance(document, dict) else None
    return message if isinstance(message, str) else None
