# SPDX-License-Identifier: Apache-2.0
"""One signature of a SavedModel as a layer of a Keras model. Imports Keras and TensorFlow: import it lazily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from google.protobuf import text_format

from tfs_deploy import protos
from tfs_deploy.codec import decode_tensor
from tfs_deploy.errors import ModelError, RequestError, UsageError
from tfs_deploy.protos.signatures import argument_name
from tfs_deploy.savedmodel import layout


@keras.saving.register_keras_serializable(package="tfs_deploy")
class SignatureLayer(keras.layers.Layer):  # type: ignore[misc]
    """Calls a signature: the tensor alone or a dict by input name in, a dict by output name out.

    Its variables are not trained; gradients flow through it to what comes before. A Keras model that holds it is saved
    with the path of the SavedModel, not with its content.
    """

    def __init__(self, path: str, signature: str, tags: Sequence[str] = ("serve",), **options: Any) -> None:
        # Inputs are not cast to the layer's dtype: the signature's dtypes count.
        super().__init__(**{"trainable": False, "autocast": False, **options})
        if keras.backend.backend() != "tensorflow":
            raise UsageError(
                f"Keras runs on {keras.backend.backend()}, a SavedModel only on TensorFlow",
                hint="set the environment variable KERAS_BACKEND=tensorflow",
            )
        self._config = {"path": path, "signature": signature, "tags": list(tags)}
        if not Path(path).is_dir():
            raise ModelError(
                f"{path} does not exist", hint="the layer needs the SavedModel at the place it was made from"
            )
        self._loaded = tf.saved_model.load(path, tags=list(tags))  # keeps the variables alive
        self._function = self._loaded.signatures[signature]
        self._specs = self._function.structured_input_signature[1]
        definition = _definition(Path(path), signature, tags)
        values = {name: decode_tensor(value.SerializeToString()) for name, value in definition.defaults.items()}
        self._defaults = values
        # what TensorFlow calls each input as an argument of the function
        self._arguments = {name: name if name in self._specs else argument_name(name) for name in definition.inputs}
        self.built = True

    def call(self, inputs: Any) -> dict[str, Any]:
        """Compute all outputs.

        Raises:
            RequestError: the inputs have other names, or there are several and they have none.
        """
        if not isinstance(inputs, Mapping):
            required = [name for name in self._arguments if name not in self._defaults] or list(self._arguments)
            if len(required) != 1:
                raise self._other_inputs("not by name")
            inputs = {required[0]: inputs}
        given = {**self._defaults, **inputs}
        if given.keys() != self._arguments.keys():
            raise self._other_inputs(", ".join(inputs) or "none")
        tensors = {
            argument: tf.convert_to_tensor(given[name], self._specs[argument].dtype)
            for name, argument in self._arguments.items()
        }
        outputs: dict[str, Any] = self._function(**tensors)
        return outputs

    def _other_inputs(self, given: str) -> RequestError:
        return RequestError(
            f"layer {self.name}: the inputs are {given}, the signature {self._config['signature']!r} has others",
            hint=f"call it with a dict of {', '.join(sorted(self._arguments))}",
        )

    def get_config(self) -> dict[str, Any]:
        """Return what the layer can be made from again."""
        return {**super().get_config(), **self._config}


def _definition(path: Path, signature: str, tags: Sequence[str]) -> Any:
    """Return the SignatureDef, which has the names of the inputs and the values of those that may be left out."""
    if (path / layout.SAVED_MODEL).is_file():
        model = protos.SavedModel.FromString((path / layout.SAVED_MODEL).read_bytes())
    else:
        text = (path / layout.SAVED_MODEL_TEXT).read_text(encoding="utf-8")
        model = text_format.Parse(text, protos.SavedModel(), allow_unknown_field=True)
    graphs = [graph for graph in model.meta_graphs if set(graph.meta_info_def.tags) == set(tags)]
    return graphs[0].signature_def[signature]
