# SPDX-License-Identifier: Apache-2.0
"""A SavedModelInfo as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.graph.ops import is_known_op
from tfs_deploy.savedmodel.samples import made_up, sample_requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
    from tfs_deploy.savedmodel.goldens import Golden
    from tfs_deploy.savedmodel.inspect import SavedModelInfo
    from tfs_deploy.savedmodel.samples import Requests

#: start of every method name
_METHOD_PREFIX = "tensorflow/serving/"


def describe(info: SavedModelInfo, *, model: str | None = None) -> dict[str, Any]:
    """Return everything that ``inspect`` shows; ``model`` is the name in the sample requests."""
    name = model or info.model
    graph = info.serving.graph
    goldens = _goldens(info)
    return {
        "path": str(info.path),
        "model": name,
        "version": info.version,
        "tensorflow_version": info.tensorflow_version,
        "producer": graph.producer,
        "min_consumer": graph.min_consumer,
        "tag_sets": [list(tags) for tags in info.tag_sets],
        "saved_model_bytes": info.pb_bytes,
        "signatures": {key: _signature(info, name, value, goldens) for key, value in info.signatures.items()},
        "graph": {
            "nodes": graph.node_count,
            "functions": len(graph.functions),
            "large_constants": graph.large_constants,
            "large_constant_bytes": graph.large_constant_bytes,
            "ops": dict(sorted(info.ops.items(), key=lambda item: (-item[1], item[0]))),
            "custom_ops": custom_ops(info),
        },
        "variables": {
            "count": len(info.variables),
            "bytes": info.variable_bytes,
            "tensors": [
                {"name": v.name, "dtype": v.dtype, "shape": list(v.shape), "bytes": v.bytes} for v in info.variables
            ],
        },
        "assets": [{"name": asset.name, "bytes": asset.size, "tensor": asset.tensor} for asset in info.assets],
        "warmup": None if info.warmup_records is None else {"records": info.warmup_records},
        "goldens": (info.path / layout.GOLDENS).is_dir(),
        "manifest": _manifest(info),
    }


def custom_ops(info: SavedModelInfo) -> list[str]:
    """Return the ops that the stock server does not have, sorted."""
    functions = info.serving.graph.functions
    return sorted(op for op in info.ops if op not in functions and not is_known_op(op))


def short_method(method: str) -> str:
    """Return ``predict`` for ``tensorflow/serving/predict``, other names as they are."""
    return method.removeprefix(_METHOD_PREFIX)


def _signature(info: SavedModelInfo, model: str, signature: SignatureInfo, goldens: Sequence[Golden]) -> dict[str, Any]:
    features = info.features(signature.name)
    golden = next((each for each in goldens if each.signature == signature.name), None)
    requests = _recorded_requests(info, model, signature, golden)
    guess = ""
    if requests is None:
        requests, guess = sample_requests(model, signature, features), made_up(signature, features)
    note = "; ".join(filter(None, (requests.note, guess)))
    return {
        "method": short_method(signature.method),
        "method_name": signature.method,
        "inputs": {name: _tensor(spec, signature) for name, spec in signature.inputs.items()},
        "outputs": {name: _tensor(spec) for name, spec in signature.outputs.items()},
        "example_features": [
            {
                "name": feature.name,
                "dtype": feature.dtype,
                "shape": None if feature.shape is None else list(feature.shape),
                "required": feature.required,
            }
            for feature in features
        ],
        "requests": {"curl": requests.curl, "python": requests.python, "note": note},
    }


def _goldens(info: SavedModelInfo) -> list[Golden]:
    """Return the recorded calls, none if they cannot be read: lint and verify report that."""
    if not (info.path / layout.GOLDENS).is_dir():
        return []
    from tfs_deploy.savedmodel.goldens import read_goldens  # with numpy: describing other versions does without

    try:
        return read_goldens(info.path)
    except ModelError:
        return []


def _recorded_requests(
    info: SavedModelInfo, model: str, signature: SignatureInfo, golden: Golden | None
) -> Requests | None:
    if golden is None:
        return None
    from tfs_deploy.savedmodel.recorded_samples import recorded_requests

    return recorded_requests(model, signature, golden, info.path)


def _tensor(spec: TensorSpec, signature: SignatureInfo | None = None) -> dict[str, Any]:
    about: dict[str, Any] = {
        "dtype": spec.dtype,
        "shape": None if spec.shape is None else list(spec.shape),
        "tensor": spec.tensor,
    }
    if signature is not None and spec.name in signature.defaults:
        about["optional"] = True
    return about


def _manifest(info: SavedModelInfo) -> dict[str, Any] | None:
    manifest = info.manifest
    if manifest is None:
        return None
    return {
        "digest": manifest.digest,
        "signature_digest": manifest.signature_digest,
        "created_at": manifest.created_at,
        "tensorflow_version": manifest.tensorflow_version,
        "keras_version": manifest.keras_version,
        "git_commit": manifest.git_commit,
        "tfs_deploy_version": manifest.tfs_deploy_version,
        "metadata": manifest.metadata,
        "files": {name: {"sha256": entry.sha256, "bytes": entry.size} for name, entry in manifest.files.items()},
    }
