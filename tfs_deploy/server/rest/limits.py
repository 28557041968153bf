# SPDX-License-Identifier: Apache-2.0
"""What a REST client may take up: connections, time, and bytes that wait to be answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: bytes of headers, trailers or chunk framing in a row; libevent has no limit
MAX_HEAD: Final = 64 * 1024
#: the largest protobuf message: the server makes one of a body
MAX_BODY: Final = 2**31 - 1
#: bytes that the bodies of all requests in flight may take together
MAX_BODIES: Final = 2**31
#: util/net_http/compression/gzip_zlib.h
MAX_INFLATED: Final = 100 * 1024 * 1024
#: bytes a second that a body, or the reader of a reply, must do after the first ``request_seconds``
SLOWEST: Final = 1000


@dataclass(frozen=True, slots=True)
class RestLimits:
    """Limits of a REST port.

    Attributes:
        connections: how many may be open at a time; more are answered HTTP 503 and closed.
        idle_seconds: how long a connection may stay open between two requests.
        request_seconds: how long a request's headers may take, and how long a body or the reader of a reply may pause.
    """

    connections: int = 4000
    idle_seconds: float = 600.0
    request_seconds: float = 60.0
