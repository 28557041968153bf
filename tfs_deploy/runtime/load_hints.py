# SPDX-License-Identifier: Apache-2.0
"""What to do about a model that TensorFlow's loader refuses, by the loader's own text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfs_deploy.errors import StatusError

_HINTS: Final = {
    "Op type not registered": "load the shared library that has the op: --load-op-library FILE.so",
    "Cannot assign a device": "the graph keeps the devices of its training: set allow_soft_placement: true in "
    "server.session_config, or save it again with clear_devices=True; export --no-check leaves it to the server",
}


def load_hint(error: StatusError, otherwise: str | None) -> str | None:
    """Return what to do about the error of a load, ``otherwise`` if nothing special is known."""
    return next((hint for start, hint in _HINTS.items() if error.message.startswith(start)), otherwise)
