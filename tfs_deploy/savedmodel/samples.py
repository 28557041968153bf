# SPDX-License-Identifier: Apache-2.0
"""Sample requests, ready to paste into a shell or a Python file, that call a signature."""

from __future__ import annotations

import base64
import json
import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tfs_deploy import protos
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, ML_DTYPES, QUANTIZED_DTYPES, REGRESS_METHOD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
    from tfs_deploy.savedmodel.graph.features import Feature

#: dtypes that REST cannot carry (util/json_tensor.cc)
NOT_IN_JSON: Final = frozenset(
    {"float16", "complex64", "complex128", "uint16", "resource", "variant", *ML_DTYPES, *QUANTIZED_DTYPES}
)
#: an input of more elements than this is made by an expression instead of being written out
_WRITTEN_OUT: Final = 64
_TEXT: Final = "text"
_BYTES: Final = b"bytes"


@dataclass(frozen=True, slots=True)
class Requests:
    """A curl and a Python request; ``None`` if that is impossible, and ``note`` says why."""

    curl: str | None
    python: str | None
    note: str = ""


def made_up(signature: SignatureInfo, features: Sequence[Feature] = ()) -> str:
    """Say that the values of a sample request are made up, where a correct model may refuse them; else nothing.

    It may where text means something (an image, sound, a line of CSV, JSON) or a network needs certain sizes.
    """
    inputs = {} if features else signature.inputs  # features say what is in a tf.Example
    texts = [name for name, spec in inputs.items() if spec.dtype == "string"]
    sizes = [name for name, spec in inputs.items() if spec.shape is None or None in spec.shape[1:]]
    reasons = []
    if texts:
        reasons.append(f"{' and '.join(texts)} may have to be an image, sound or text of a certain form")
    if sizes:
        reasons.append(f"the sizes of {' and '.join(sizes)} are a guess")
    if not reasons:
        return ""
    return (
        f"made up, so the model may refuse it: {', '.join(reasons)}; an export with an example "
        "(--example NAME=@FILE, examples= in Python) records one that works, and shows it here"
    )


def sample_requests(
    model: str,
    signature: SignatureInfo,
    features: Sequence[Feature] = (),
    *,
    rest: str = "localhost:8501",
    grpc: str = "localhost:8500",
) -> Requests:
    """Write the requests for one signature of ``model``; ``features`` are those of its tf.Examples."""
    if signature.method in (CLASSIFY_METHOD, REGRESS_METHOD):
        return _example_requests(model, signature, features, rest, grpc)
    if not signature.inputs:
        return Requests(
            None, _predict_python(model, signature, features, grpc), "REST cannot call it: it has no inputs"
        )
    specs = [*signature.inputs.values(), *signature.outputs.values()]
    unfit = next((spec for spec in specs if spec.dtype in NOT_IN_JSON), None)
    if unfit is not None:
        note = f"REST cannot call it: '{unfit.name}' is {unfit.dtype}"
        return Requests(None, _predict_python(model, signature, features, grpc), note)
    return Requests(_predict_curl(model, signature, features, rest), _predict_python(model, signature, features, grpc))


def _predict_curl(model: str, signature: SignatureInfo, features: Sequence[Feature], rest: str) -> str:
    url = address_of_call(rest, model, "predict")
    large = any(math.prod(_shape(spec)) > _WRITTEN_OUT for spec in signature.inputs.values())
    if not large:
        values = {name: _nested(spec, features) for name, spec in signature.inputs.items()}
        body = json.dumps({"signature_name": signature.name, "inputs": values})
        return f"curl {url} -d {shell_quoted(body)}"
    inputs = ", ".join(f"{json.dumps(name)}: {_expression(s, features)}" for name, s in signature.inputs.items())
    document = f'{{"signature_name": {json.dumps(signature.name)}, "inputs": {{{inputs}}}}}'
    program = shell_quoted(f"import json; print(json.dumps({document}))")
    return f"python3 -c {program} | curl {url} -d @-"


def _predict_python(model: str, signature: SignatureInfo, features: Sequence[Feature], grpc: str) -> str:
    inputs = ",\n        ".join(
        f"{name!r}: {_array(spec, features)}" for name, spec in sorted(signature.inputs.items())
    )
    uses_ml_dtypes = any(spec.dtype in ML_DTYPES for spec in signature.inputs.values())
    return "\n".join(
        [
            *(["import ml_dtypes"] if uses_ml_dtypes else []),
            "import numpy as np",
            "from tfs_deploy import Client",
            "",
            f"with Client({grpc!r}) as client:",
            f"    reply = client.predict({model!r}, {{",
            f"        {inputs},",
            f"    }}, signature={signature.name!r})",
            "    print(reply.outputs)",
        ]
        if inputs
        else [
            "from tfs_deploy import Client",
            "",
            f"with Client({grpc!r}) as client:",
            f"    print(client.predict({model!r}, {{}}, signature={signature.name!r}).outputs)",
        ]
    )


def _example_requests(
    model: str, signature: SignatureInfo, features: Sequence[Feature], rest: str, grpc: str
) -> Requests:
    """Write the requests for a signature that classifies or regresses tf.Examples."""
    verb = "classify" if signature.method == CLASSIFY_METHOD else "regress"
    kind = "Classification" if verb == "classify" else "Regression"
    example = {feature.name: _feature_json(feature) for feature in features}
    body = json.dumps({"signature_name": signature.name, "examples": [example]})
    python = [
        "import grpc",
        "from tfs_deploy import protos",
        "from tfs_deploy.protos import methods",
        "",
        f"request = protos.{kind}Request()",
        f"request.model_spec.name = {model!r}",
        f"request.model_spec.signature_name = {signature.name!r}",
        "feature = request.input.example_list.examples.add().features.feature",
        *(
            f"feature[{feature.name!r}].{_list_name(feature)}.value.extend({_feature_values(feature)!r})"
            for feature in features
        ),
        f"with grpc.insecure_channel({grpc!r}) as channel:",
        f"    call = channel.unary_unary(methods.{verb.upper()},",
        f"        protos.{kind}Request.SerializeToString, protos.{kind}Response.FromString)",
        "    print(call(request, timeout=10))",
    ]
    note = "" if features else "the graph does not name the features of its tf.Examples: fill them in"
    return Requests(f"curl {address_of_call(rest, model, verb)} -d {shell_quoted(body)}", "\n".join(python), note)


def _shape(spec: TensorSpec) -> tuple[int, ...]:
    """Return a shape that fits: one of everything that is free."""
    return (1,) if spec.shape is None else tuple(1 if size is None else size for size in spec.shape)


def _element(spec: TensorSpec, features: Sequence[Feature]) -> Any:
    """Return one element as JSON carries it."""
    if spec.dtype == "string":
        if features:
            return {"b64": base64.b64encode(example_bytes(features)).decode()}
        return {"b64": base64.b64encode(_BYTES).decode()} if spec.name.endswith("_bytes") else _TEXT
    return True if spec.dtype == "bool" else 1 if "int" in spec.dtype else 1.0


def _nested(spec: TensorSpec, features: Sequence[Feature]) -> Any:
    value = _element(spec, features)
    for size in reversed(_shape(spec)):
        value = [value] * size
    return value


def _expression(spec: TensorSpec, features: Sequence[Feature]) -> str:
    text = repr(_element(spec, features))
    for size in reversed(_shape(spec)):
        text = f"[{text}] * {size}" if size != 1 else f"[{text}]"
    return text


def _array(spec: TensorSpec, features: Sequence[Feature]) -> str:
    shape = _shape(spec)
    if spec.dtype == "string":
        plain = _BYTES if spec.name.endswith("_bytes") else _TEXT.encode()
        value = example_bytes(features) if features else plain
        return f"np.full({shape}, {value!r}, object)"
    package = "ml_dtypes" if spec.dtype in ML_DTYPES else "np"
    dtype = f"{package}.{QUANTIZED_DTYPES.get(spec.dtype, spec.dtype)}"
    return f"np.ones({shape}, {'bool' if spec.dtype == 'bool' else dtype})"


def example_bytes(features: Sequence[Feature]) -> bytes:
    """Return a serialized tf.Example with one plausible value for every element of ``features``."""
    example = protos.Example()
    for feature in features:
        getattr(example.features.feature[feature.name], _list_name(feature)).value.extend(_feature_values(feature))
    return bytes(example.SerializeToString(deterministic=True))


def _list_name(feature: Feature) -> str:
    if feature.dtype == "string":
        return "bytes_list"
    return "int64_list" if feature.dtype == "int64" else "float_list"


def _feature_values(feature: Feature) -> list[Any]:
    count = 1 if feature.shape is None else math.prod(1 if size is None else size for size in feature.shape)
    value: Any = _TEXT.encode() if feature.dtype == "string" else 1 if feature.dtype == "int64" else 1.0
    return [value] * count


def _feature_json(feature: Feature) -> Any:
    values = [value.decode() if isinstance(value, bytes) else value for value in _feature_values(feature)]
    return values[0] if len(values) == 1 else values


def address_of_call(rest: str, model: str, verb: str) -> str:
    """Return the address of a call, as a shell takes it."""
    return shlex.quote(f"http://{rest}/v1/models/{quote(model, safe='')}:{verb}")


def shell_quoted(text: str) -> str:
    """Return a text in single quotes, as a shell takes it."""
    return "'" + text.replace("'", "'\\''") + "'"
