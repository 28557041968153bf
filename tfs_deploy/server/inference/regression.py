# SPDX-License-Identifier: Apache-2.0
"""Regress on one servable (servables/tensorflow/regressor.cc)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy import protos
from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.protos.signatures import REGRESS_METHOD
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

_OUTPUTS: Final = "outputs"


def run_regress(
    servable: ModelServable,
    signature: str,
    examples: Any,
    timeout: float | None = None,
    *,
    check_method: bool,
    api: str = "",
) -> Any:
    """Return the RegressionResult of an Input message.

    Raises:
        StatusError: with the server's code and text.
    """
    tensor, outputs = regress_tensors(find_signature(servable, signature), check_method=check_method)
    count, arrays = run_on_examples(servable, examples, tensor, outputs, timeout, api=api)
    return regression_result(count, arrays)


def regress_tensors(signature: ServedSignature, *, check_method: bool) -> tuple[str, dict[str, str]]:
    """Return the input tensor and the output tensor."""
    if check_method:
        check_method_name(signature, REGRESS_METHOD, "regression")
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise InvalidArgumentError("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise InvalidArgumentError(f"No regression inputs found in SignatureDef: {signature_text(signature)}")
    if _OUTPUTS not in signature.outputs:
        raise InvalidArgumentError(f"No regression outputs found in SignatureDef: {signature_text(signature)}")
    return signature.inputs[INPUTS], dict(signature.outputs)


def regression_result(count: int, results: dict[str, Array]) -> Any:
    """Return the RegressionResult of the output array for ``count`` examples."""
    array = results[_OUTPUTS]
    if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
        raise InvalidArgumentError(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {array_shape(array)}"
        )
    if array.shape[0] != count:
        raise InvalidArgumentError(f"Input batch size did not match output batch size: {count} vs. {array.shape[0]}")
    if array.dtype != np.float32:
        raise InvalidArgumentError(f"Expected output Tensor of DT_FLOAT.  Got: {array_type(array)}")
    message = protos.RegressionResult()
    for value in array.ravel().tolist():
        message.regressions.add(value=value)
    return message
