"""Editing the SignatureDefs of a SavedModel: what TensorFlow 2 has no way to say, and all that TensorFlow 1 needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.export.choosing import choose_names, choose_signature
from tfs_deploy.export.contract import check_method
from tfs_deploy.export.signature import METHODS, Signature
from tfs_deploy.protos.signatures import INTERNAL_SIGNATURES, PREDICT_METHOD, signature_info
from tfs_deploy.savedmodel import layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FINGERPRINT: Final = "fingerprint.pb"


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
    _write(directory, model)


def edited(definitions: Any, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """Make new SignatureDefs out of those of a meta graph: other names, fewer outputs, another method.

    A signature keeps the method of the one it is made from unless it asks for another.
    """
    known = [name for name in definitions if name not in INTERNAL_SIGNATURES]
    result = {}
    for name, signature in signatures.items():
        existing = definitions[choose_signature(name, signature, known)]
        made = protos.SignatureDef()
        asked = METHODS[signature.method]
        made.method_name = existing.method_name if asked == PREDICT_METHOD else asked
        for new, old in choose_names(name, "input", signature.inputs, sorted(existing.inputs)).items():
            made.inputs[new].CopyFrom(existing.inputs[old])
        for new, old in choose_names(name, "output", signature.outputs, sorted(existing.outputs)).items():
            made.outputs[new].CopyFrom(existing.outputs[old])
        if asked != PREDICT_METHOD:
            info = signature_info(name, made)
            check_method(name, asked, info.inputs, info.outputs)
        result[name] = made
    return result


def rewrite(directory: Path, model: Any, graph: Any, definitions: Mapping[str, Any]) -> None:
    """Replace the SignatureDefs of one meta graph of ``model``, but TensorFlow's own, and write the file."""
    for name in list(graph.signature_def):
        if name not in INTERNAL_SIGNATURES:
            del graph.signature_def[name]
    for name, definition in definitions.items():
        graph.signature_def[name].CopyFrom(definition)
    _write(directory, model)


def _write(directory: Path, model: Any) -> None:
    (directory / layout.SAVED_MODEL).write_bytes(model.SerializeToString(deterministic=True))
    # The fingerprint describes the file as it was before; servers do without (fingerprinting.cc).
    (directory / _FINGERPRINT).unlink(missing_ok=True)
