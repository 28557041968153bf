# SPDX-License-Identifier: Apache-2.0
"""Keras models in files: ``.keras`` and ``.h5``."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import zipfile
from pathlib import Path
from typing import Any, Final

from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.export.signatures.bound_signature import first_line

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_REGISTER: Final = (
    "register custom classes before (keras.saving.register_keras_serializable), or load the model yourself and export "
    "the object"
)


def load_keras_file(source: str | os.PathLike[str], *, safe_mode: bool = True) -> Any:
    """Load a Keras model from a file, with Keras 3 or else with ``tf_keras`` (Keras 2), which may have written it.

    ``safe_mode``: refuse Python code in the file, such as that of a ``Lambda`` layer.

    Raises:
        ModelError: the file is damaged or cannot be loaded; the message names it.
        UsageError: it holds weights only.
    """
    import keras

    path = Path(source)
    if path.name.endswith(".weights.h5"):
        raise UsageError(
            f"{path} holds weights, not a model", hint="build the model in Python, load_weights() and export the model"
        )
    _refuse_damaged(path)
    try:
        # Losses, metrics and optimizers are not served and need not be importable.
        return keras.models.load_model(str(path), compile=False, safe_mode=safe_mode)
    except Exception as error:
        if safe_mode and "safe_mode" in str(error):
            raise ModelError(
                f"{path} holds Python code (a Lambda layer), which runs when it is loaded",
                hint="if you trust the file: --no-safe-mode, or export_model(..., safe_mode=False)",
            ) from error
        if not _is_of_keras_2(path):
            raise ModelError(f"{path} cannot be loaded: {first_line(error)}", hint=_REGISTER) from error
        failed = error
    return _load_with_keras_2(path, failed, safe_mode=safe_mode)


def _load_with_keras_2(path: Path, failed: Exception, *, safe_mode: bool) -> Any:
    if importlib.util.find_spec("tf_keras") is None:
        raise ModelError(
            f"{path} was written by Keras 2 and cannot be loaded by Keras 3: {first_line(failed)}",
            hint="pip install tf_keras",
        ) from failed
    tf_keras: Any = importlib.import_module("tf_keras")
    try:
        return tf_keras.models.load_model(str(path), compile=False, safe_mode=safe_mode)
    except Exception as error:
        raise ModelError(f"{path} cannot be loaded by tf_keras: {first_line(error)}", hint=_REGISTER) from error


def _refuse_damaged(path: Path) -> None:
    """Raise ``ModelError`` for a file that is not what its name says: Keras calls it not found."""
    if path.suffix == ".keras":
        kind, valid = "a zip archive", zipfile.is_zipfile(path)
    else:
        with path.open("rb") as file:
            kind, valid = "an HDF5 file", file.read(len(_HDF5)) == _HDF5
    if not valid:
        raise ModelError(
            f"{path} is damaged: it is not {kind}, as {path.suffix} files are", hint="copy or save the model again"
        )


def _is_of_keras_2(path: Path) -> bool:
    """Tell whether Keras 2 wrote a file, as far as the file says."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                version = json.loads(archive.read("metadata.json")).get("keras_version")
        else:
            h5py: Any = importlib.import_module("h5py")
            with h5py.File(path) as file:
                version = file.attrs.get("keras_version")
    except (OSError, KeyError, ValueError, AttributeError, zipfile.BadZipFile):
        return False
    text = version.decode(errors="replace") if isinstance(version, bytes) else str(version)
    return text.startswith("2.")
