# SPDX-License-Identifier: Apache-2.0
"""Check whether warmup records fit the signatures of a model and the batches of its server, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfs_deploy.protos.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, REGRESS_METHOD, dtype_name
from tfs_deploy.savedmodel.warmup import read_warmup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
    from tfs_deploy.savedmodel.inspect import SavedModelInfo

    Signatures = Mapping[str, SignatureInfo]


@dataclass(frozen=True, slots=True)
class ReplayProblem:
    """Why the server could not replay a record; not ``certain`` where only the graph decides."""

    number: int
    reason: str
    certain: bool = True


def replay_problems(info: SavedModelInfo, max_rows: int | None = None) -> Iterator[ReplayProblem]:
    """Yield the problem of each warmup record that has one; ``ModelError`` if the file is damaged.

    A record without a request is none: the server skips it (saved_model_warmup_util.cc). ``max_rows``: of the largest
    request that the server's batching takes, ``None`` without batching.
    """
    for number, log in enumerate(read_warmup(info.path)):
        kind = log.WhichOneof("log_type")
        if kind is None:
            continue
        reason = _reason(kind, log, info.signatures) or (_too_large(kind, log, max_rows) if max_rows else None)
        if reason:
            yield ReplayProblem(number, reason)
        elif kind == "predict_log" and (other := _other_shape(log.predict_log.request, info.signatures)):
            yield ReplayProblem(number, other, certain=False)


def _reason(kind: str, log: Any, signatures: Signatures) -> str | None:
    if kind == "predict_log":
        return _predict(log.predict_log.request, signatures)
    if kind == "classify_log":
        return _examples(log.classify_log.request, signatures, CLASSIFY_METHOD)
    if kind == "regress_log":
        return _examples(log.regress_log.request, signatures, REGRESS_METHOD)
    if kind == "multi_inference_log":
        return _multi_inference(log.multi_inference_log.request, signatures)
    return f"the server does not replay a {kind}"


def _signature(spec: Any, signatures: Signatures) -> SignatureInfo | str:
    name = spec.signature_name or DEFAULT_SIGNATURE
    return signatures.get(name) or f"the model has no signature '{name}'"


def _predict(request: Any, signatures: Signatures) -> str | None:
    signature = _signature(request.model_spec, signatures)
    if isinstance(signature, str):
        return signature
    missing = sorted(signature.inputs.keys() - request.inputs.keys() - signature.defaults)
    if missing:
        return f"it lacks input '{missing[0]}'"
    for name in sorted(request.inputs):
        if name not in signature.inputs:
            return f"signature '{signature.name}' has no input '{name}'"
        dtype, spec = dtype_name(request.inputs[name].dtype), signature.inputs[name]
        if dtype != spec.dtype:
            return f"input '{spec.name}' is {dtype} instead of {spec.dtype}"
    unknown = sorted(set(request.output_filter) - signature.outputs.keys())
    return f"signature '{signature.name}' has no output '{unknown[0]}'" if unknown else None


def _other_shape(request: Any, signatures: Signatures) -> str | None:
    """Tell which input has another shape than the signature says; the server does not compare them, the graph may."""
    signature = _signature(request.model_spec, signatures)
    if isinstance(signature, str):
        return None
    return next(filter(None, (_misfit(request.inputs[name], signature.inputs[name]) for name in request.inputs)), None)


def _misfit(tensor: Any, spec: TensorSpec) -> str | None:
    if spec.shape is None or tensor.tensor_shape.unknown_rank:
        return None
    shape = _shape(tensor)
    fits = len(shape) == len(spec.shape) and all(b in (None, a) for a, b in zip(shape, spec.shape, strict=True))
    return None if fits else f"input '{spec.name}' has shape {list(shape)}, which does not fit {spec}"


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(dimension.size for dimension in tensor.tensor_shape.dim)


def _examples(request: Any, signatures: Signatures, method: str) -> str | None:
    signature = _signature(request.model_spec, signatures)
    if isinstance(signature, str):
        return signature
    return _contract(signature, method) or (None if _rows(request.input) else "its input is empty")


def _multi_inference(request: Any, signatures: Signatures) -> str | None:
    for task in request.tasks:
        signature = _signature(task.model_spec, signatures)
        if isinstance(signature, str):
            return signature
        if reason := _contract(signature, task.method_name):
            return f"{reason}, not '{task.method_name}'"
    return None if _rows(request.input) else "its input is empty"


def _contract(signature: SignatureInfo, method: str) -> str | None:
    """Tell why Classify or Regress cannot call a signature: its names count, not its method (classifier.cc)."""
    outputs = signature.outputs.keys()
    if method == CLASSIFY_METHOD:
        right = bool(outputs & {"classes", "scores"}) and len(outputs) <= 2
    else:
        right = method == REGRESS_METHOD and outputs == {"outputs"}
    if right and signature.inputs.keys() == {"inputs"}:
        return None
    if signature.method != method:
        return f"signature '{signature.name}' has the method '{signature.method}'"
    return f"signature '{signature.name}' has other inputs or outputs than its method '{method}' needs"


def _rows(message: Any) -> int:
    """Return how many tf.Examples an Input message holds."""
    kind = message.WhichOneof("kind")
    return len(getattr(message, kind).examples) if kind else 0


def _too_large(kind: str, log: Any, most: int) -> str | None:
    """Tell why the server's batching refuses a request (batching_session.cc); parts of the outputs are not batched."""
    if kind != "predict_log":
        rows = _rows(getattr(log, kind).request.input)
    else:
        request = log.predict_log.request
        shapes = [_shape(tensor) for tensor in request.inputs.values()]
        if request.output_filter or not shapes:
            return None
        if () in shapes:
            return "batching is on, and an input is a scalar"
        if len({shape[0] for shape in shapes}) > 1:
            return "batching is on, and its inputs do not have the same first dimension"
        rows = shapes[0][0]
    return f"it has {rows} rows, more than max_batch_size {most}" if rows > most else None
