# SPDX-License-Identifier: Apache-2.0
"""Edit the SignatureDefs of a SavedModel: methods that TensorFlow 2 cannot write, and all of TensorFlow 1's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.codec import encode_tensor
from tfs_deploy.errors import ModelError
from tfs_deploy.export.signatures.bound_signature import first_line
from tfs_deploy.export.signatures.method_contract import check_method
from tfs_deploy.export.signatures.names import check_name
from tfs_deploy.export.signatures.selection import choose_names, choose_signature
from tfs_deploy.export.signatures.signature import METHODS, Signature
from tfs_deploy.export.sources.graph_source import find_tensor
from tfs_deploy.export.tensorflow.graph_import import import_graph
from tfs_deploy.export.tensorflow.silence import load_tensorflow
from tfs_deploy.protos.signatures import INTERNAL_SIGNATURES, PREDICT_METHOD, signature_info
from tfs_deploy.savedmodel import layout

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.export.signatures.bound_signature import BoundSignature

_FINGERPRINT: Final = "fingerprint.pb"
_TENSOR: Final = re.compile(r"[^:]+:\d+")


def complete(directory: Path, signatures: Mapping[str, BoundSignature]) -> None:
    """Add to the SignatureDefs what TensorFlow 2 cannot write: methods other than Predict, and default values."""
    incomplete = {name: one for name, one in signatures.items() if one.method != PREDICT_METHOD or one.defaults}
    if not incomplete:
        return
    file = directory / layout.SAVED_MODEL
    model = protos.SavedModel.FromString(file.read_bytes())
    for graph in model.meta_graphs:
        for name in incomplete.keys() & set(graph.signature_def):
            definition = graph.signature_def[name]
            definition.method_name = incomplete[name].method
            for key, value in incomplete[name].defaults.items():
                definition.defaults[key].ParseFromString(encode_tensor(value))
    _write(directory, model)


def edit_signature_defs(graph: Any, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """Return new SignatureDefs for a meta graph: other names, fewer outputs, another method, other tensors.

    A signature keeps the method of the one it is made from unless it asks for another.
    """
    tensors = Tensors(graph.graph_def)
    known = {name: made for name, made in graph.signature_def.items() if name not in INTERNAL_SIGNATURES}
    return {name: _edit(name, signature, known, tensors) for name, signature in signatures.items()}


def _edit(name: str, signature: Signature, known: Mapping[str, Any], tensors: Tensors) -> Any:
    existing = protos.SignatureDef(method_name=PREDICT_METHOD)
    by_tensor = [_names_tensors(side) for side in (signature.inputs, signature.outputs)]
    if signature.function is not None or not all(by_tensor):
        existing = known[choose_signature(name, signature, list(known))]
    asked = METHODS[signature.method]
    made = protos.SignatureDef(method_name=existing.method_name if asked == PREDICT_METHOD else asked)
    for role, given, old, new in (
        ("input", signature.inputs, existing.inputs, made.inputs),
        ("output", signature.outputs, existing.outputs, made.outputs),
    ):
        if _names_tensors(given) and isinstance(given, Mapping):
            for key, tensor in given.items():
                new[check_name(name, role, key)].CopyFrom(tensors.info(name, tensor, old))
        else:
            for key, kept in choose_names(name, role, given, sorted(old)).items():
                new[key].CopyFrom(old[kept])
                if role == "input" and kept in existing.defaults:
                    made.defaults[key].CopyFrom(existing.defaults[kept])
    if asked != PREDICT_METHOD:
        info = signature_info(name, made)
        check_method(name, asked, info.inputs, info.outputs)
    return made


def _names_tensors(side: Any) -> bool:
    """Tell whether a side of a signature is given by tensors of the graph, such as ``dense/Softmax:0``."""
    return isinstance(side, Mapping) and any(
        isinstance(name, str) and _TENSOR.fullmatch(name) for name in side.values()
    )


class Tensors:
    """Finds tensors of a graph by name, with dtype and shape; imports TensorFlow on first use."""

    def __init__(self, graph_def: Any) -> None:
        self._graph_def = graph_def
        self._graph: Any = None

    def info(self, signature: str, name: Any, existing: Mapping[str, Any]) -> Any:
        """Return the TensorInfo of a tensor, or of an entry of the existing signature; ``UsageError`` if unknown."""
        if isinstance(name, str) and name in existing:
            return existing[name]
        load_tensorflow()
        import tensorflow as tf

        if self._graph is None:
            definition = tf.compat.v1.GraphDef.FromString(self._graph_def.SerializeToString())
            try:
                self._graph, _ = import_graph(definition, lambda: tf.compat.v1.import_graph_def(definition, name=""))
            except (ValueError, tf.errors.OpError) as error:
                raise ModelError(
                    f"Signature {signature!r}: the graph cannot be used: {first_line(error)}",
                    hint="import the libraries of its ops first (--import MODULE)",
                ) from error
        tensor = find_tensor(signature, self._graph, name)
        with tf.Graph().as_default():
            made = tf.compat.v1.saved_model.build_tensor_info(tensor)
        return protos.TensorInfo.FromString(made.SerializeToString())


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
    (directory / layout.SAVED_MODEL_TEXT).unlink(missing_ok=True)
    # The fingerprint describes the file as it was before; servers do without (fingerprinting.cc).
    (directory / _FINGERPRINT).unlink(missing_ok=True)
