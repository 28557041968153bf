# SPDX-License-Identifier: Apache-2.0
"""MultiInference on one servable (servables/tensorflow/multi_inference.cc)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import InvalidArgumentError, UnimplementedError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, REGRESS_METHOD
from tfs_deploy.server.inference.classification import classification_result, classify_tensors
from tfs_deploy.server.inference.examples import serialized_examples
from tfs_deploy.server.inference.regression import regress_tensors, regression_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.server.inference.servable import ModelServable


def run_multi_inference(
    servable: ModelServable, tasks: Sequence[Any], examples: Any, timeout: float | None = None, *, check_method: bool
) -> list[Any]:
    """Run all tasks of a MultiInferenceRequest in one go; return a result message for each.

    Raises:
        StatusError: with the server's code and text.
    """
    chosen = _tensors(servable, tasks, check_method=check_method)
    array = serialized_examples(examples)
    feeds = {tensor: array for tensor, _ in chosen}
    fetches = list(dict.fromkeys(tensor for _, outputs in chosen for tensor in outputs.values()))
    arrays = dict(zip(fetches, servable.run(feeds, fetches, timeout=timeout), strict=True))
    results = []
    for task, (_, outputs) in zip(tasks, chosen, strict=True):
        result = classification_result if task.method_name == CLASSIFY_METHOD else regression_result
        results.append(result(len(array), {name: arrays[tensor] for name, tensor in outputs.items()}))
    return results


def _tensors(servable: ModelServable, tasks: Sequence[Any], *, check_method: bool) -> list[tuple[str, dict[str, str]]]:
    """Return the input tensor and the output tensors of each task."""
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
