"""Where a version comes from: the software that wrote it, and the commit that was checked out."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import subprocess
import sys
from typing import Any

from tfs_deploy.errors import UsageError


def keras_version() -> str | None:
    """Return the version of Keras if it is in use in this process."""
    return getattr(sys.modules.get("keras"), "__version__", None)


def tensorflow_version() -> str | None:
    """Return the version of the installed TensorFlow."""
    loaded = getattr(sys.modules.get("tensorflow"), "__version__", None)
    if loaded is not None:
        return str(loaded)
    for package in ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tf-nightly"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(package)
    return None


def git_commit() -> str | None:
    """Return the commit of the working directory's repository, ``None`` outside of one or without git."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def check_metadata(metadata: Any) -> dict[str, Any]:
    """Return free metadata as the manifest will hold it; raises ``UsageError`` for what JSON cannot say."""
    try:
        document = json.loads(json.dumps(dict(metadata or {}), default=_number, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"metadata cannot be written as JSON: {error}", hint="use text, numbers, lists and dicts"
        ) from error
    result: dict[str, Any] = document
    return result


def _number(value: Any) -> Any:
    """Turn numpy scalars and arrays into what JSON has."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")
