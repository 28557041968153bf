# SPDX-License-Identifier: Apache-2.0
"""The grammar of REST paths (model_servers/http_rest_api_handler.cc): pure.

The query string is part of the path, as the server's router has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from tfs_deploy.errors import InvalidArgumentError

#: paths that reach the handler; others get libevent's own 404 page
HANDLED: Final = re.compile(r"/v1/.*", re.IGNORECASE)
_MODEL: Final = r"([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
_PREDICTION: Final = re.compile(rf"/v1/models/{_MODEL}:(classify|regress|predict)", re.IGNORECASE | re.ASCII)
_STATUS: Final = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", re.IGNORECASE | re.ASCII
)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAX_VERSION: Final = 2**63 - 1


class BadUrlError(ValueError):
    """A path that libevent refuses."""


class VersionTooBigError(ValueError):
    """A version beyond int64: the server answers 400 with an empty body."""


@dataclass(frozen=True, slots=True)
class Route:
    """The target of a request; ``verb`` is predict, classify, regress, status or metadata."""

    verb: str
    model: str
    version: int | None
    label: str | None


def parse_route(method: str, path: str) -> Route:
    """Return the route of a request line.

    Args:
        method: GET, POST, ...
        path: as sent, with its query string.

    Raises:
        BadUrlError: a percent sign without two hex digits.
        VersionTooBigError: see there.
        InvalidArgumentError: with the server's text.
    """
    if _BAD_ESCAPE.search(path):
        raise BadUrlError(path)
    if method == "POST":
        match = _PREDICTION.fullmatch(path)
        if match and match[4] in ("classify", "regress", "predict"):
            return Route(match[4], _unquote(match[1]), _version(match[2]), _label(match[3]))
    elif method == "GET":
        match = _STATUS.fullmatch(path)
        if match:
            verb = "metadata" if match[4] == "metadata" else "status"
            if match[1] is None:
                raise InvalidArgumentError("Missing model name in request.")
            return Route(verb, _unquote(match[1]), _version(match[2]), _label(match[3]))
    raise InvalidArgumentError(f"Malformed request: {method} {path}")


def _unquote(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def _label(text: str | None) -> str | None:
    return None if text is None else _unquote(text)


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > 19 or int(digits) > _MAX_VERSION:
        raise VersionTooBigError(text)
    return int(digits)
