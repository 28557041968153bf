"""Errors of TensorFlow's file system, translated to errors that say what to do."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.export.signatures.bound_signature import first_line
from tfs_deploy.store.publish import translate_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = ("No space left on device", "Disk quota exceeded", "ENOSPC")
_DENIED = ("Permission denied", "Read-only file system")


@contextlib.contextmanager
def translate_write_errors(base: Path) -> Iterator[None]:
    """Translate what fails while TensorFlow writes below ``base``: its exceptions are not ``OSError``s."""
    with translate_os_errors(base):
        try:
            yield
        except Exception as error:
            if not _is_of_tensorflow(error):
                raise
            text = str(error)
            if any(sign in text for sign in _FULL):
                raise EnvironmentFault(
                    f"no space left on the disk of {base}",
                    hint="free some space; nothing was left behind",
                    retriable=True,
                ) from error
            if any(sign in text for sign in _DENIED):
                raise EnvironmentFault(f"{base} cannot be written", hint="make it writable for this user") from error
            raise EnvironmentFault(
                f"TensorFlow could not write the model: {first_line(error)}",
                hint=f"check the disk of {base}; nothing was left behind",
            ) from error


def _is_of_tensorflow(error: Exception) -> bool:
    """Tell whether TensorFlow raised this, without importing it where it was not needed."""
    return any(cls.__name__ == "OpError" and cls.__module__.startswith("tensorflow") for cls in type(error).__mro__)
