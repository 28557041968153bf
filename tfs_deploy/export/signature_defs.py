"""Editing the SignatureDefs of a written SavedModel: what TensorFlow 2 has no way to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy import protos
from tfs_deploy.protos.signatures import PREDICT_METHOD
from tfs_deploy.savedmodel import layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def set_methods(directory: Path, methods: Mapping[str, str]) -> None:
    """Set the method names of signatures that are not Predict; TensorFlow 2 writes Predict for all of them."""
    others = {name: method for name, method in methods.items() if method != PREDICT_METHOD}
    if not others:
        return
    file = directory / layout.SAVED_MODEL
    model = protos.SavedModel.FromString(file.read_bytes())
    for graph in model.meta_graphs:
        for name, method in others.items():
            if name in graph.signature_def:
                graph.signature_def[name].method_name = method
    file.write_bytes(model.SerializeToString())
    # It describes the file as it was before.
    (directory / layout.FINGERPRINT).unlink(missing_ok=True)
