"""Keras models in files: ``.keras`` and ``.h5``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.export.bound import first_line
from tfs_deploy.export.keras_source import bind_keras
from tfs_deploy.export.source import TracedSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfs_deploy.export.signature import Signature


def open_keras_file(source: str | Path, signatures: Mapping[str, Signature] | None) -> TracedSource:
    """Load a Keras model from a file; raises ``ModelError`` naming the file if it cannot be loaded."""
    import keras

    text = str(source)
    if text.endswith(".weights.h5"):
        raise UsageError(
            f"{text} holds weights, not a model", hint="build the model in Python, load_weights() and export the model"
        )
    try:
        # Losses, metrics and optimizers are not served and need not be importable.
        model = keras.models.load_model(text, compile=False)
    except Exception as error:
        raise ModelError(
            f"{text} cannot be loaded: {first_line(error)}",
            hint="register custom classes before (keras.saving.register_keras_serializable), or load the model "
            "yourself and export the object",
        ) from error
    return TracedSource(bind_keras(model, signatures))
