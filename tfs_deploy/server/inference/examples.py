# SPDX-License-Identifier: Apache-2.0
"""Input messages of tf.Examples: what Classify, Regress and MultiInference feed (servables/tensorflow/util.cc)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy import protos
from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.server.inference.servable import ModelServable, ServedSignature

Array = np.ndarray[Any, Any]

#: the alias of the one input of a signature that takes tf.Examples
INPUTS: Final = "inputs"


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
    """Return the signature of a Classify or Regress request; raises ``InvalidArgumentError`` with the server's text."""
    signature = servable.signatures.get(name or DEFAULT_SIGNATURE)
    if signature is None:
        raise InvalidArgumentError(f"No signature was found with the name: {name or DEFAULT_SIGNATURE}")
    return signature


def check_method_name(signature: ServedSignature, method: str, kind: str) -> None:
    """Refuse a signature of another API, as with --enable_signature_method_name_check."""
    if signature.info.method != method:
        raise InvalidArgumentError(
            f"Expected {kind} signature method_name to be {method}. Was: {signature.info.method}"
        )


def signature_text(signature: ServedSignature) -> str:
    """Return a SignatureDef as text proto, for a message."""
    return protos.to_text(signature.definition)


def run_on_examples(
    servable: ModelServable,
    message: Any,
    tensor: str,
    outputs: Mapping[str, str],
    timeout: float | None,
    *,
    api: str,
) -> tuple[int, dict[str, Array]]:
    """Feed an Input message to a tensor; return the number of examples and the outputs by alias.

    The examples are counted for requests of an ``api``, not for warmup.
    """
    examples = serialized_examples(message)
    results = servable.run({tensor: examples}, list(outputs.values()), api=api, timeout=timeout)
    if api:
        servable.count_examples(len(examples))
    return len(examples), dict(zip(outputs, results, strict=True))
