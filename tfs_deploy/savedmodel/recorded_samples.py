# SPDX-License-Identifier: Apache-2.0
"""Sample requests made of a recorded call: one that the version has answered, where a made-up one might be refused."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from tfs_deploy import protos
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, REGRESS_METHOD
from tfs_deploy.savedmodel.samples import NOT_IN_JSON, Requests, address_of_call, shell_quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.savedmodel.goldens import Golden

    Array = np.ndarray[Any, Any]

#: numbers, and bytes of text, that are written out; more are made by an expression, or read from the recorded call
_NUMBERS: Final = 64
_BYTES: Final = 4096


def recorded_requests(
    model: str,
    signature: SignatureInfo,
    golden: Golden,
    version_dir: Path,
    *,
    rest: str = "localhost:8501",
    grpc: str = "localhost:8500",
) -> Requests | None:
    """Write the requests of a recorded call, of its first row where it is a batch.

    Large inputs of numbers keep their shape and are all 1 in the curl command. ``None`` for a signature whose
    tf.Examples cannot be written out.
    """
    inputs = first_row(signature, golden.inputs)
    if signature.method in (CLASSIFY_METHOD, REGRESS_METHOD):
        return _example_requests(model, signature, inputs, rest, grpc)
    python = _python(model, signature, inputs, version_dir, grpc)
    specs = [*signature.inputs.values(), *signature.outputs.values()]
    unfit = next((spec for spec in specs if spec.dtype in NOT_IN_JSON), None)
    if unfit is not None or not inputs:
        why = "it has no inputs" if unfit is None else f"'{unfit.name}' is {unfit.dtype}"
        return Requests(None, python, f"REST cannot call it: {why}")
    return Requests(_curl(model, signature, inputs, version_dir, rest), python)


def first_row(signature: SignatureInfo, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the first row of every input, or the inputs as they are if they are not a batch."""
    shapes = [signature.inputs[name].shape if name in signature.inputs else () for name in inputs]
    batch = all(shape is None or (shape and shape[0] is None) for shape in shapes)
    sizes = {array.shape[0] if array.ndim else 0 for array in inputs.values()}
    if not batch or len(sizes) != 1 or 0 in sizes:
        return dict(inputs)
    return {name: array[:1] for name, array in inputs.items()}


def _curl(model: str, signature: SignatureInfo, inputs: Mapping[str, Array], version_dir: Path, rest: str) -> str:
    url = address_of_call(rest, model, "predict")
    if all(map(_is_short, inputs.values())):
        values = {name: _json_value(array) for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature.name, "inputs": values})
        return f"curl {url} -d {shell_quoted(body)}"
    if all(array.dtype.kind != "O" or _is_short(array) for array in inputs.values()):
        written = ", ".join(f"{json.dumps(name)}: {_expression(array)}" for name, array in inputs.items())
        document = f'{{"signature_name": {json.dumps(signature.name)}, "inputs": {{{written}}}}}'
        program = f"import json; print(json.dumps({document}))"
    else:
        program = (
            "import sys; from tfs_deploy.codec.json.client import encode_predict_body; "
            f"{_reading(version_dir, signature.name).replace(chr(10), '; ')}; "
            f"sys.stdout.buffer.write(encode_predict_body(recorded.inputs, signature={signature.name!r}))"
        )
    return f"python3 -c {shell_quoted(program)} | curl {url} -d @-"


def _python(model: str, signature: SignatureInfo, inputs: Mapping[str, Array], version_dir: Path, grpc: str) -> str:
    short = all(map(_is_short, inputs.values())) and all(array.dtype.kind in "biufO" for array in inputs.values())
    if short:
        head = ["import numpy as np", "from tfs_deploy import Client", ""]
        values = [f"        {name!r}: {_array(array)}," for name, array in sorted(inputs.items())]
        call = [f"    reply = client.predict({model!r}, {{", *values, f"    }}, signature={signature.name!r})"]
    else:
        head = ["from tfs_deploy import Client", _reading(version_dir, signature.name), ""]
        call = [f"    reply = client.predict({model!r}, recorded.inputs, signature={signature.name!r})"]
    return "\n".join([*head, f"with Client({grpc!r}) as client:", *call, "    print(reply.outputs)"])


def _reading(version_dir: Path, signature: str) -> str:
    return (
        "from tfs_deploy.savedmodel.goldens import read_goldens\n"
        f"recorded = next(each for each in read_goldens({str(version_dir)!r}) if each.signature == {signature!r})"
    )


def _example_requests(
    model: str, signature: SignatureInfo, inputs: Mapping[str, Array], rest: str, grpc: str
) -> Requests | None:
    """Write the requests for a signature that classifies or regresses tf.Examples."""
    records = [bytes(record) for array in inputs.values() if array.dtype.kind == "O" for record in array.reshape(-1)]
    try:
        examples = [protos.Example.FromString(record) for record in records]
    except DecodeError:
        return None
    if not examples or sum(map(len, records)) > _BYTES or not all(each.HasField("features") for each in examples):
        return None
    verb, kind = ("classify", "Classification") if signature.method == CLASSIFY_METHOD else ("regress", "Regression")
    body = json.dumps({"signature_name": signature.name, "examples": [_features(each) for each in examples]})
    python = [
        "import grpc",
        "from tfs_deploy import protos",
        "from tfs_deploy.protos import methods",
        "",
        f"request = protos.{kind}Request()",
        f"request.model_spec.name = {model!r}",
        f"request.model_spec.signature_name = {signature.name!r}",
        *(f"request.input.example_list.examples.add().ParseFromString({record!r})" for record in records),
        f"with grpc.insecure_channel({grpc!r}) as channel:",
        f"    call = channel.unary_unary(methods.{verb.upper()},",
        f"        protos.{kind}Request.SerializeToString, protos.{kind}Response.FromString)",
        "    print(call(request, timeout=10))",
    ]
    return Requests(f"curl {address_of_call(rest, model, verb)} -d {shell_quoted(body)}", "\n".join(python))


def _features(example: Any) -> dict[str, Any]:
    """Return a tf.Example as the REST API takes it."""
    found: dict[str, Any] = {}
    for name, feature in sorted(example.features.feature.items()):
        kind = feature.WhichOneof("kind")
        values = [_json_element(value) for value in getattr(feature, kind).value] if kind else []
        found[name] = values[0] if len(values) == 1 else values
    return found


def _is_short(array: Array) -> bool:
    if array.dtype.kind == "O":
        return array.size <= _NUMBERS and sum(map(len, array.reshape(-1))) <= _BYTES
    return array.size <= _NUMBERS and (array.dtype.kind != "f" or all(map(math.isfinite, array.reshape(-1).tolist())))


def _json_value(array: Array) -> Any:
    def plain(value: Any) -> Any:
        return list(map(plain, value)) if isinstance(value, list) else _json_element(value)

    return plain(array.tolist())


def _json_element(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text if text.isprintable() else {"b64": base64.b64encode(value).decode()}


def _expression(array: Array) -> str:
    if _is_short(array):
        return repr(_json_value(array))
    text = "True" if array.dtype.kind == "b" else "1" if array.dtype.kind in "iu" else "1.0"
    for size in reversed(array.shape):
        text = f"[{text}] * {size}" if size != 1 else f"[{text}]"
    return text


def _array(array: Array) -> str:
    dtype = "object" if array.dtype.kind == "O" else "bool" if array.dtype.kind == "b" else f"np.{array.dtype.name}"
    return f"np.array({array.tolist()!r}, {dtype})"
