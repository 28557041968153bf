# SPDX-License-Identifier: Apache-2.0
"""``:classify`` and ``:regress`` (g3doc/api_rest.md): examples as a JSON body, replies as classes and values."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.client.call.inference_replies import ClassifyReply, RegressReply, ScoredClass, TaskReply, signature_name
from tfs_deploy.codec.examples import ExampleLike, Features, context_features, examples_features
from tfs_deploy.codec.json.client import parse_json
from tfs_deploy.errors import DataLossError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfs_deploy.client.call.model_ref import ModelRef


def write_inference_body(examples: Iterable[ExampleLike], context: ExampleLike | None, signature: str | None) -> bytes:
    """Return the body of a ``:classify`` or ``:regress``; NaN and infinities are bare tokens, bytes are base64."""
    body: dict[str, Any] = {"signature_name": signature} if signature else {}
    if context is not None:
        body["context"] = _plain(context_features(context))
    body["examples"] = [_plain(features) for features in examples_features(examples)]
    return json.dumps(body, separators=(",", ":")).encode()


def read_inference_body(method: str, data: bytes, ref: ModelRef, signature: str | None) -> TaskReply:
    """Return the reply; ``results`` holds lists of [label, score], or numbers."""
    body = parse_json(data)
    by: dict[str, Any] = {"model": ref.name, "version": ref.version, "signature": signature_name(signature)}
    try:
        # the documentation says result, the server sends results
        results = body["results"] if "results" in body else body["result"]
        if method == "classify":
            return ClassifyReply([[_scored(*pair) for pair in row] for row in results], **by)
        return RegressReply(np.array(results, np.float32), **by)
    except (KeyError, TypeError, ValueError) as error:
        raise DataLossError(f"the reply to {method} has no valid results: {error!r}") from error


def _scored(label: str, score: float) -> ScoredClass:
    # the server's scores are float32, which JSON writes with the fewest digits
    return ScoredClass(label, float(np.float32(score)))


def _plain(features: Features) -> dict[str, Any]:
    return {name: [_value(value) for value in values] for name, values in features.items()}


def _value(value: Any) -> Any:
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
