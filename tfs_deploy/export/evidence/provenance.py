# SPDX-License-Identifier: Apache-2.0
"""Where a version comes from: the software that wrote it, and the git commit that was checked out."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Self

_GIT_SECONDS: Final = 5


def keras_version() -> str | None:
    """Return the version of Keras, ``None`` if this process does not use it."""
    return getattr(sys.modules.get("keras"), "__version__", None)


def tensorflow_version() -> str | None:
    """Return the version of the installed TensorFlow, ``None`` without one."""
    loaded = getattr(sys.modules.get("tensorflow"), "__version__", None)
    if loaded is not None:
        return str(loaded)
    for package in ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tf-nightly"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(package)
    return None


class GitCommit:
    """Asks git for the commit of the working directory while the model is written."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # no git
            self._process = subprocess.Popen(
                ["git", "rev-parse", "HEAD"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def answer(self) -> str | None:
        """Return the commit; ``None`` outside a repository, without git, or if git takes too long."""
        if self._process is None:
            return None
        try:
            printed, _ = self._process.communicate(timeout=_GIT_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        return printed.strip() or None if self._process.returncode == 0 else None


def check_metadata(metadata: Any) -> dict[str, Any]:
    """Return metadata as the manifest will hold it; raises ``UsageError`` for what JSON cannot hold."""
    try:
        document = json.loads(json.dumps(dict(metadata or {}), default=_number, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"metadata cannot be written as JSON: {error}", hint="use text, numbers, lists and dicts"
        ) from error
    result: dict[str, Any] = document
    return result


def _number(value: Any) -> Any:
    """Return a numpy scalar or array as plain values."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is not a JSON value")
