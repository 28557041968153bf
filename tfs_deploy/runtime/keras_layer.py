"""One signature of a SavedModel as a layer of a Keras model. Imports Keras and TensorFlow: import it lazily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfs_deploy.errors import ModelError, RequestError, UsageError


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
        self.built = True

    def call(self, inputs: Any) -> dict[str, Any]:
        """Compute all outputs.

        Raises:
            RequestError: the inputs have other names, or there are several and they have none.
        """
        if not isinstance(inputs, Mapping):
            if len(self._specs) != 1:
                raise self._other_inputs("not by name")
            inputs = dict.fromkeys(self._specs, inputs)
        elif inputs.keys() != self._specs.keys():
            raise self._other_inputs(", ".join(inputs) or "none")
        tensors = {name: tf.convert_to_tensor(inputs[name], spec.dtype) for name, spec in self._specs.items()}
        outputs: dict[str, Any] = self._function(**tensors)
        return outputs

    def _other_inputs(self, given: str) -> RequestError:
        return RequestError(
            f"layer {self.name}: the inputs are {given}, the signature {self._config['signature']!r} has others",
            hint=f"call it with a dict of {', '.join(sorted(self._specs))}",
        )

    def get_config(self) -> dict[str, Any]:
        """Return what the layer can be made from again."""
        return {**super().get_config(), **self._config}
