# SPDX-License-Identifier: Apache-2.0
"""Dtypes that a model does not know, read from its traced graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.bound_signature import BoundSignature


def cast_to_integers(concrete: Any, signature: BoundSignature) -> BoundSignature | None:
    """Return the signature with integers for guessed inputs that the graph does nothing with but cast them to one.

    An ``Embedding`` does, for example. ``None`` if there are none.
    """
    inputs = dict(signature.inputs)
    for name, tensor in zip(inputs, concrete.inputs, strict=False):
        users = tensor.consumers() if name in signature.guessed else []
        targets = {operation.get_attr("DstT") for operation in users if operation.type == "Cast"}
        if users and all(operation.type == "Cast" for operation in users) and len(targets) == 1:
            (dtype,) = targets
            if dtype.is_integer:
                inputs[name] = replace(inputs[name], dtype=dtype.name)
    known = {name for name in inputs if inputs[name] != signature.inputs[name]}
    return replace(signature, inputs=inputs, guessed=signature.guessed - known) if known else None
