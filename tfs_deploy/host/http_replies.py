# SPDX-License-Identifier: Apache-2.0
"""What the body of an HTTP reply says: pages, plain text and JSON in one line, for messages."""

from __future__ import annotations

import html
import re
from typing import Any, Final

from tfs_deploy.text import one_line, parse_document

#: characters that a message quotes
_LONGEST: Final = 300
#: bytes that are looked at
_MOST: Final = 16 << 10
#: where servers and gateways put their reason
_KEYS: Final = ("message", "detail", "error_description", "error", "title", "reason")
#: what has no end reaches to the end of the text: the time is linear
_UNSEEN: Final = re.compile(r"<(head|script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL | re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")


def reply_text(body: bytes) -> str:
    """Return what a reply says; empty if it says nothing."""
    text = body[:_MOST].decode("utf-8", "replace")
    try:
        found = _json_text(parse_document(text))
    except ValueError:
        found = ""
    if not found and text.lstrip().startswith("<"):
        seen = _TAG.sub(" ", _UNSEEN.sub(" ", text))
        found = html.unescape(seen if seen.strip() else _TAG.sub(" ", text))
    return one_line(found or text, most=_LONGEST)


def _json_text(document: Any) -> str:
    """Return the first text under one of the usual keys, also one below another."""
    if not isinstance(document, dict):
        return ""
    for key in _KEYS:
        found = document.get(key)
        text = found if isinstance(found, str) else _json_text(found)
        if text:
            return text
    return ""
