# SPDX-License-Identifier: Apache-2.0
"""Recordings kept with a version: goldens with the answers of the original, and warmup requests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.codec import encode_predict_request
from tfs_deploy.codec.arrays import wide_array
from tfs_deploy.codec.quantized import integers, quantized_inputs
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, REGRESS_METHOD
from tfs_deploy.savedmodel.goldens import Golden
from tfs_deploy.savedmodel.warmup import MAX_RECORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.export.evidence.examples import Example
    from tfs_deploy.export.evidence.tolerance import Tolerance
    from tfs_deploy.export.sources.source import Source
    from tfs_deploy.protos.signatures import SignatureInfo

logger = logging.getLogger(__name__)


def record_goldens(source: Source, examples: Sequence[Example], tolerance: Tolerance) -> list[Golden]:
    """Return goldens of the examples, answered by the original unless they bring their answer; one per tolerance."""
    goldens = []
    seen: set[str] = set()
    for example in examples:
        by_tolerance: dict[tuple[float, float], dict[str, Any]] = {}
        answer = example.answer
        if answer is None:
            specs = source.inputs(example.signature) or {}
            answer = source.run(example.signature, quantized_inputs(specs, example.inputs))
        for name, array in answer.items():
            seen.add(name)
            by_tolerance.setdefault(tolerance.of(name), {})[name] = integers(wide_array(array))
        goldens += [
            Golden(example.signature, example.inputs, outputs, rtol, atol)
            for (rtol, atol), outputs in by_tolerance.items()
        ]
    if examples:
        tolerance.check_outputs(seen)
    return goldens


def warmup_requests(model: str, examples: Sequence[Example], infos: Mapping[str, SignatureInfo]) -> list[Any]:
    """Return the request of each example, of the kind that its signature answers; the server accepts 1000."""
    if len(examples) > MAX_RECORDS:
        logger.warning("only the first %d of %d examples are written as warmup requests", MAX_RECORDS, len(examples))
    return [_request(model, example, infos[example.signature]) for example in examples[:MAX_RECORDS]]


def _request(model: str, example: Example, info: SignatureInfo) -> Any:
    if info.method == CLASSIFY_METHOD:
        request = protos.ClassificationRequest()
    elif info.method == REGRESS_METHOD:
        request = protos.RegressionRequest()
    else:
        inputs = quantized_inputs(info.inputs, example.inputs)
        return encode_predict_request(model, inputs, signature=example.signature)
    request.model_spec.name = model
    request.model_spec.signature_name = example.signature
    (serialized,) = example.inputs.values()
    for one in serialized.reshape(-1):
        request.input.example_list.examples.add().ParseFromString(one)
    return request
