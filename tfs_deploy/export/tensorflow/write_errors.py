# SPDX-License-Identifier: Apache-2.0
"""What fails while TensorFlow writes a model, translated to errors that say what to do."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.export.signatures.bound_signature import first_line, too_large
from tfs_deploy.store.publish import translate_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: the kind of a captured resource or variant, in TensorFlow's own report
_CAPTURED: Final = re.compile(r"Captured Tensor = <(?:ResourceHandle\(.*?type=\"(?P<type>[\w:]+)\"|(?P<variant>\w+))")
#: how protobuf and TensorFlow say that a message is beyond 2 GB
_TOO_LARGE: Final = ("larger than 2GB", "exceeds maximum protobuf size", "Failed to serialize proto")
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


@contextlib.contextmanager
def translate_save_errors() -> Iterator[None]:
    """Translate what TensorFlow says of a model that it cannot save to ``UsageError``."""
    from google.protobuf.message import EncodeError

    try:
        yield
    except (AssertionError, ValueError, TypeError, KeyError, AttributeError, EncodeError) as error:
        text = str(error)
        if "untracked" in text:
            found = _CAPTURED.search(text)
            kind = "object" if found is None else (found["type"] or found["variant"]).rpartition("::")[2]
            raise UsageError(
                f"a function of the model uses a resource ({kind}) that cannot be saved with it",
                hint="keep variables and lookup tables alive as attributes of the model; leave queues, iterators and "
                "datasets to the caller and pass their values as inputs",
            ) from error
        if isinstance(error, EncodeError) or any(sign in text for sign in _TOO_LARGE):
            raise too_large() from error
        raise UsageError(
            f"TensorFlow cannot save the model: {first_line(error)}",
            hint="tf.saved_model.save(model, DIRECTORY) in Python shows where",
        ) from error


def _is_of_tensorflow(error: Exception) -> bool:
    """Tell whether TensorFlow raised this, without importing it where it was not needed."""
    return any(cls.__name__ == "OpError" and cls.__module__.startswith("tensorflow") for cls in type(error).__mro__)
