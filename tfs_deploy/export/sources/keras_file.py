"""Keras models in files: ``.keras`` and ``.h5``."""

from __future__ import annotations

import os
from typing import Any

from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.export.signatures.bound_signature import first_line


def load_keras_file(source: str | os.PathLike[str]) -> Any:
    """Load a Keras model from a file; raises ``ModelError`` naming the file if it cannot be loaded."""
    import keras

    text = os.fspath(source)
    if text.endswith(".weights.h5"):
        raise UsageError(
            f"{text} holds weights, not a model", hint="build the model in Python, load_weights() and export the model"
        )
    try:
        # Losses, metrics and optimizers are not served and need not be importable.
        return keras.models.load_model(text, compile=False)
    except Exception as error:
        raise ModelError(
            f"{text} cannot be loaded: {first_line(error)}",
            hint="register custom classes before (keras.saving.register_keras_serializable), or load the model "
            "yourself and export the object",
        ) from error
