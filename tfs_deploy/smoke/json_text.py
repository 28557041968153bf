# SPDX-License-Identifier: Apache-2.0
"""Whether the JSON that the REST API writes for some outputs is valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def not_text(outputs: Mapping[str, NDArray[Any]]) -> str:
    """Return why no JSON parser reads these outputs over REST, empty if it can (util/json_tensor.cc).

    The server writes the bytes of a string output as they are, unless its name ends in ``_bytes``: then in base64.
    The client reads them all the same, so an answer that it returned proves nothing.
    """
    for name, array in outputs.items():
        if array.dtype.kind == "O" and not name.endswith("_bytes") and not all(map(_is_text, array.reshape(-1))):
            return (
                f"output '{name}' holds bytes that are not UTF-8, so the JSON of the REST API is not valid: name it "
                f"'{name}_bytes', which the server writes in base64"
            )
    return ""


def _is_text(value: bytes | str) -> bool:
    if isinstance(value, bytes):
        try:
            value.decode()
        except UnicodeDecodeError:
            return False
    return True
