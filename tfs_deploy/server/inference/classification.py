# SPDX-License-Identifier: Apache-2.0
"""Classify on one servable (servables/tensorflow/classifier.cc)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy import protos
from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD
from tfs_deploy.server.inference.examples import (
    INPUTS,
    check_method_name,
    find_signature,
    run_on_examples,
    signature_text,
)
from tfs_deploy.server.inference.tensor_text import array_shape, array_type

if TYPE_CHECKING:
    from tfs_deploy.server.inference.servable import ModelServable, ServedSignature

Array = np.ndarray[Any, Any]

_CLASSES: Final = "classes"
_SCORES: Final = "scores"


def run_classify(
    servable: ModelServable,
    signature: str,
    examples: Any,
    timeout: float | None = None,
    *,
    check_method: bool,
    api: str = "",
) -> Any:
    """Return the ClassificationResult of an Input message.

    Raises:
        StatusError: with the server's code and text.
    """
    tensor, outputs = classify_tensors(find_signature(servable, signature), check_method=check_method)
    count, arrays = run_on_examples(servable, examples, tensor, outputs, timeout, api=api)
    return classification_result(count, arrays)


def classify_tensors(signature: ServedSignature, *, check_method: bool) -> tuple[str, dict[str, str]]:
    """Return the input tensor and the tensors of ``classes`` and ``scores``, whichever there are."""
    if check_method:
        check_method_name(signature, CLASSIFY_METHOD, "classification")
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise InvalidArgumentError(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise InvalidArgumentError(f"No classification inputs found in SignatureDef: {signature_text(signature)}")
    outputs: dict[str, str] = {
        name: signature.outputs[name] for name in (_CLASSES, _SCORES) if name in signature.outputs
    }
    if not outputs:
        raise InvalidArgumentError(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {signature_text(signature)}"
        )
    return signature.inputs[INPUTS], outputs


def classification_result(count: int, results: dict[str, Array]) -> Any:
    """Return the ClassificationResult of the arrays of ``classes`` and ``scores`` for ``count`` examples."""
    classes, scores = results.get(_CLASSES), results.get(_SCORES)
    if classes is not None:
        _check_matrix(classes, np.dtype(object), _CLASSES, count)
    if scores is not None:
        _check_matrix(scores, np.dtype(np.float32), _SCORES, count)
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise InvalidArgumentError(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    message = protos.ClassificationResult()
    width = (classes if classes is not None else scores).shape[1]  # type: ignore[union-attr]
    for row in range(count):
        found = message.classifications.add().classes
        for column in range(width):
            entry = found.add()
            if classes is not None:
                entry.label = classes[row, column].decode("utf-8", "replace")
            if scores is not None:
                entry.score = scores[row, column]
    return message


def _check_matrix(array: Array, dtype: np.dtype[Any], name: str, count: int) -> None:
    if array.ndim != 2:
        raise InvalidArgumentError(f"Expected Tensor shape: [batch_size num_classes] but got {array_shape(array)}")
    if array.dtype != dtype:
        wanted = "DT_STRING" if name == _CLASSES else "DT_FLOAT"
        raise InvalidArgumentError(f"Expected {name} Tensor of {wanted}. Got: {array_type(array)}")
    if array.shape[0] != count:
        raise InvalidArgumentError(f"Expected {name} output batch size of {count}. Got: {array.shape[0]}")
