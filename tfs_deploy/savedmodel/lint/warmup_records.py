"""Whether warmup records fit the signatures of a model, as far as can be told without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.protos.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE, REGRESS_METHOD, dtype_name
from tfs_deploy.savedmodel.warmup import read_warmup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
    from tfs_deploy.savedmodel.inspect import SavedModelInfo


def replay_problems(info: SavedModelInfo) -> Iterator[tuple[int, str]]:
    """Yield number and reason of each warmup record that the server could not replay; ``ModelError`` if damaged."""
    for number, log in enumerate(read_warmup(info.path)):
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            reason = _predict(log.predict_log.request, info.signatures)
        elif kind == "classify_log":
            reason = _examples(log.classify_log.request, info.signatures, CLASSIFY_METHOD)
        elif kind == "regress_log":
            reason = _examples(log.regress_log.request, info.signatures, REGRESS_METHOD)
        elif kind == "multi_inference_log":
            reason = _multi_inference(log.multi_inference_log.request, info.signatures)
        else:
            reason = f"the server does not replay a {kind}" if kind else "it holds no request"
        if reason:
            yield number, reason


def _signature(spec: Any, signatures: Mapping[str, SignatureInfo]) -> SignatureInfo | str:
    name = spec.signature_name or DEFAULT_SIGNATURE
    return signatures.get(name) or f"the model has no signature '{name}'"


def _predict(request: Any, signatures: Mapping[str, SignatureInfo]) -> str | None:
    signature = _signature(request.model_spec, signatures)
    if isinstance(signature, str):
        return signature
    missing = sorted(signature.inputs.keys() - request.inputs.keys() - signature.defaults)
    if missing:
        return f"it lacks input '{missing[0]}'"
    for name in sorted(request.inputs):
        if name not in signature.inputs:
            return f"signature '{signature.name}' has no input '{name}'"
        reason = _tensor(request.inputs[name], signature.inputs[name])
        if reason:
            return reason
    unknown = sorted(set(request.output_filter) - signature.outputs.keys())
    return f"signature '{signature.name}' has no output '{unknown[0]}'" if unknown else None


def _tensor(tensor: Any, spec: TensorSpec) -> str | None:
    dtype = dtype_name(tensor.dtype)
    if dtype != spec.dtype:
        return f"input '{spec.name}' is {dtype} instead of {spec.dtype}"
    shape = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
    if spec.shape is None or tensor.tensor_shape.unknown_rank:
        return None
    fits = len(shape) == len(spec.shape) and all(b in (None, a) for a, b in zip(shape, spec.shape, strict=True))
    return None if fits else f"input '{spec.name}' has shape {list(shape)}, which does not fit {spec}"


def _examples(request: Any, signatures: Mapping[str, SignatureInfo], method: str) -> str | None:
    signature = _signature(request.model_spec, signatures)
    if isinstance(signature, str):
        return signature
    if signature.method != method:
        return f"signature '{signature.name}' has the method '{signature.method}'"
    return None if request.input.WhichOneof("kind") else "its input is empty"


def _multi_inference(request: Any, signatures: Mapping[str, SignatureInfo]) -> str | None:
    for task in request.tasks:
        signature = _signature(task.model_spec, signatures)
        if isinstance(signature, str):
            return signature
        if signature.method != task.method_name:
            return f"signature '{signature.name}' has the method '{signature.method}', not '{task.method_name}'"
    return None if request.input.WhichOneof("kind") else "its input is empty"
