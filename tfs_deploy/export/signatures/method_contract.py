# SPDX-License-Identifier: Apache-2.0
"""What TensorFlow Serving requires of Classify and Regress signatures (classifier.cc, regressor.cc, util.cc).

The request's tf.Examples arrive serialized in the one input ``inputs``. Classify answers with ``classes`` (string)
and/or ``scores`` (float), both [batch, classes]; Regress with ``outputs`` (float), [batch] or [batch, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, PREDICT_METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.protos.signatures import TensorSpec

_CLASSIFY: Final = {"classes": "string", "scores": "float32"}
_REGRESS: Final = {"outputs": "float32"}


def check_method(name: str, method: str, inputs: Mapping[str, TensorSpec], outputs: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` if TensorFlow Serving would refuse the signature for its method.

    ``outputs``: anything with ``dtype`` and ``shape`` by output name.
    """
    if method == PREDICT_METHOD:
        return
    kind, allowed = ("classify", _CLASSIFY) if method == CLASSIFY_METHOD else ("regress", _REGRESS)
    (only,) = inputs.values() if len(inputs) == 1 else (None,)
    if only is None or only.name != "inputs" or only.dtype != "string":
        raise UsageError(
            f"Signature {name!r}: a {kind} signature has one string input called 'inputs', not {sorted(inputs)}",
            hint="wrap the model with from_examples(...), which parses the serialized tf.Examples",
        )
    unknown = sorted(set(outputs) - set(allowed))
    if unknown or not outputs:
        raise UsageError(
            f"Signature {name!r}: a {kind} signature answers with {' and '.join(allowed)}, not {unknown}",
            hint=f"rename the outputs, e.g. outputs={{'{next(reversed(allowed))}': 'probabilities'}}",
        )
    for key, tensor in outputs.items():
        dtype = getattr(tensor.dtype, "name", str(tensor.dtype))
        rank = len(tensor.shape) if getattr(tensor.shape, "rank", 0) is not None else None
        ranks = (2,) if method == CLASSIFY_METHOD else (1, 2)
        if dtype != allowed[key] or (rank is not None and rank not in ranks):
            shape = "[batch, classes]" if method == CLASSIFY_METHOD else "[batch] or [batch, 1]"
            raise UsageError(
                f"Signature {name!r}: {key!r} must be {allowed[key]} {shape}, not {dtype} {list(tensor.shape)}",
                hint="cast or reshape it in the signature's function",
            )
