"""Classify, Regress and MultiInference over tf.Examples: pure checks around one run of the graph.

(servables/tensorflow/classifier.cc, regressor.cc, multi_inference.cc, util.cc)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy import protos
from tfs_deploy.errors import InvalidArgumentError, UnimplementedError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, REGRESS_METHOD
from tfs_deploy.server.inference.signature_json import data_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.server.inference.servable import ModelServable, ServedSignature

Array = np.ndarray[Any, Any]

_INPUTS: Final = "inputs"
_OUTPUTS: Final = "outputs"
_CLASSES: Final = "classes"
_SCORES: Final = "scores"


def example_count(message: Any) -> int:
    """Return how many examples an Input message holds."""
    kind = message.WhichOneof("kind")
    return len(getattr(message, kind).examples) if kind else 0


def serialized_examples(message: Any) -> Array:
    """Return an Input message's examples as a string array, each merged with the context if there is one."""
    kind = message.WhichOneof("kind")
    examples = getattr(message, kind).examples if kind else ()
    if not examples:
        raise InvalidArgumentError("Input is empty.")
    # concatenated messages merge when they are parsed
    context = message.example_list_with_context.context.SerializeToString() if kind != "example_list" else b""
    array = np.empty(len(examples), object)
    array[:] = [context + example.SerializeToString() for example in examples]
    return array


def find_signature(servable: ModelServable, name: str) -> ServedSignature:
    """Find the signature of a Classify or Regress request."""
    signature = servable.signatures.get(name or DEFAULT_SIGNATURE)
    if signature is None:
        raise InvalidArgumentError(f"No signature was found with the name: {name or DEFAULT_SIGNATURE}")
    return signature


def classify_tensors(signature: ServedSignature, *, check_method: bool) -> tuple[str, dict[str, str]]:
    """Return the input tensor and the tensors of ``classes`` and ``scores``, whichever there are."""
    _check_method(signature, CLASSIFY_METHOD, "classification", check_method=check_method)
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise InvalidArgumentError(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if _INPUTS not in signature.inputs:
        raise InvalidArgumentError(f"No classification inputs found in SignatureDef: {_printed(signature)}")
    outputs: dict[str, str] = {
        name: signature.outputs[name] for name in (_CLASSES, _SCORES) if name in signature.outputs
    }
    if not outputs:
        raise InvalidArgumentError(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {_printed(signature)}"
        )
    return signature.inputs[_INPUTS], outputs


def regress_tensors(signature: ServedSignature, *, check_method: bool) -> tuple[str, dict[str, str]]:
    """Return the input tensor and the output tensor."""
    _check_method(signature, REGRESS_METHOD, "regression", check_method=check_method)
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise InvalidArgumentError("Expected one output Tensor.")
    if _INPUTS not in signature.inputs:
        raise InvalidArgumentError(f"No regression inputs found in SignatureDef: {_printed(signature)}")
    if _OUTPUTS not in signature.outputs:
        raise InvalidArgumentError(f"No regression outputs found in SignatureDef: {_printed(signature)}")
    return signature.inputs[_INPUTS], dict(signature.outputs)


def _check_method(signature: ServedSignature, method: str, kind: str, *, check_method: bool) -> None:
    if check_method and signature.info.method != method:
        raise InvalidArgumentError(
            f"Expected {kind} signature method_name to be {method}. Was: {signature.info.method}"
        )


def _printed(signature: ServedSignature) -> str:
    return protos.to_text(signature.definition)


def classification_result(count: int, results: dict[str, Array]) -> Any:
    """Make a ClassificationResult of the arrays of ``classes`` and ``scores``; ``count`` is the number of examples."""
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
        raise InvalidArgumentError(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
    if array.dtype != dtype:
        wanted = "DT_STRING" if name == _CLASSES else "DT_FLOAT"
        raise InvalidArgumentError(f"Expected {name} Tensor of {wanted}. Got: {_type(array)}")
    if array.shape[0] != count:
        raise InvalidArgumentError(f"Expected {name} output batch size of {count}. Got: {array.shape[0]}")


def regression_result(count: int, array: Array) -> Any:
    """Make a RegressionResult of the output array; ``count`` is the number of examples."""
    if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
        raise InvalidArgumentError(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}"
        )
    if array.shape[0] != count:
        raise InvalidArgumentError(f"Input batch size did not match output batch size: {count} vs. {array.shape[0]}")
    if array.dtype != np.float32:
        raise InvalidArgumentError(f"Expected output Tensor of DT_FLOAT.  Got: {_type(array)}")
    message = protos.RegressionResult()
    for value in array.ravel().tolist():
        message.regressions.add(value=value)
    return message


def _shape(array: Array) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _type(array: Array) -> str:
    from tfs_deploy.codec.dtypes import dtype_number

    return data_type(dtype_number(array.dtype))


def run_multi(
    servable: ModelServable, tasks: Sequence[Any], message: Any, timeout: float | None, *, check_method: bool
) -> list[Any]:
    """Run all tasks of a MultiInferenceRequest in one go; returns a result message for each."""
    chosen = _multi_tensors(servable, tasks, check_method=check_method)
    examples = serialized_examples(message)
    feeds = {tensor: examples for tensor, _ in chosen}
    fetches = list(dict.fromkeys(tensor for _, outputs in chosen for tensor in outputs.values()))
    arrays = dict(zip(fetches, servable.run(feeds, fetches, timeout=timeout), strict=True))
    results = []
    for task, (_, outputs) in zip(tasks, chosen, strict=True):
        named = {name: arrays[tensor] for name, tensor in outputs.items()}
        if task.method_name == CLASSIFY_METHOD:
            results.append(classification_result(len(examples), named))
        else:
            results.append(regression_result(len(examples), named[_OUTPUTS]))
    return results


def _multi_tensors(
    servable: ModelServable, tasks: Sequence[Any], *, check_method: bool
) -> list[tuple[str, dict[str, str]]]:
    chosen = []
    seen: set[str] = set()
    for task in tasks:
        if not task.model_spec.name:
            raise InvalidArgumentError("Found ModelSpec with an empty model name.")
        if task.model_spec.name != tasks[0].model_spec.name:
            raise InvalidArgumentError("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in seen:
            raise InvalidArgumentError(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if name not in servable.signatures:
            raise InvalidArgumentError(f"Requested signature not found in model graph: {name}")
        if task.method_name == CLASSIFY_METHOD:
            chosen.append(classify_tensors(servable.signatures[name], check_method=check_method))
        elif task.method_name == REGRESS_METHOD:
            chosen.append(regress_tensors(servable.signatures[name], check_method=check_method))
        else:
            raise UnimplementedError(f"Unsupported signature method_name: {task.method_name}")
    return chosen
