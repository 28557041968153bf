# SPDX-License-Identifier: Apache-2.0
"""The headers of a call (gRPC metadata, HTTP headers): which names and values can be sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tfs_deploy.errors import UsageError

#: what gRPC accepts (Custom-Metadata in its HTTP/2 protocol description); HTTP accepts at least as much
_NAME: Final = re.compile(r"[0-9a-z_.-]+")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")
#: names that belong to the protocols
_RESERVED: Final = re.compile(r"grpc-.*|:.*|content-(type|length|encoding)|host|te")


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with names in lower case.

    Raises:
        UsageError: a name or value that cannot be sent, or a name that belongs to the protocol.
    """
    if not isinstance(headers, Mapping):
        raise UsageError(
            f"headers must be a mapping, not {type(headers).__name__}", hint='give a mapping: {"name": "value"}'
        )
    checked = {}
    for given, value in headers.items():
        name = str(given).lower()
        if not _NAME.fullmatch(name) or name.endswith("-bin") or _RESERVED.fullmatch(name):
            raise UsageError(
                f"not a valid header name: {given!r}",
                hint="use letters, digits, _ . and -; grpc-..., ...-bin and content-type belong to the protocol",
            )
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise UsageError(f"not a valid value for the header {name}: {value!r}", hint="give printable ASCII text")
        checked[name] = value
    return checked
