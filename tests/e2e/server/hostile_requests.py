# SPDX-License-Identifier: Apache-2.0
"""Requests that are generated and mutated, without end: documents over REST, messages over gRPC, and bare bytes."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format

from support.hostile import PREFACE, TOKENS, grpc_message, http1, http2, mutate_bytes, mutate_json
from support.http2 import SETTINGS, frame
from tfs_deploy import protos

from .conftest import RECORDED

NAMES = ["half_plus_two", "zoo", "nosuch", "", "a/b", "ZOO", "zoo%20", "%7Aoo", "zoo%", "ü", "zoo:zoo", "..", "{}"]
VERSIONS = [
    "",
    "/versions/1",
    "/versions/123",
    "/versions/99",
    "/versions/-1",
    "/versions/1e3",
    "/versions/",
    "/labels/x",
]
VERSIONS += [
    f"/versions/{2**63}",
    f"/versions/{10**30}",
    "/labels/",
    "/labels/%00",
    "/versions/1/labels/a",
    "/metadata",
]
VERBS = [":predict", ":classify", ":regress", "", ":Predict", ":multi", "/metadata", ":predict?x=1", ":predict#y", "/"]
METHODS = ["POST"] * 8 + ["GET"] * 3 + ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "FOO"]


@functools.cache
def rest_seeds() -> list[tuple[str, Any]]:
    """The recorded requests that carry a JSON document."""
    found = []
    for path in sorted((RECORDED / "rest").glob("*.json")):
        request = json.loads(path.read_text())["request"]
        if isinstance(request["body"], str):
            try:
                found.append((request["path"], json.loads(request["body"])))
            except ValueError:
                continue
    return found


@functools.cache
def grpc_seeds() -> list[tuple[str, bytes]]:
    """The recorded calls as paths and bytes; reloads are left out, they would change what is served."""
    found = []
    kinds = {"Classify": "ClassificationRequest", "Regress": "RegressionRequest"}
    for path in sorted((RECORDED / "grpc").glob("*.json")):
        case = json.loads(path.read_text())
        method = case.get("method", "")
        kind = kinds.get(method, f"{method}Request")
        if "path" in case or method == "HandleReloadConfigRequest" or not hasattr(protos, kind):
            continue
        message = getattr(protos, kind)()
        json_format.ParseDict(case.get("request") or {}, message, descriptor_pool=protos.pool())
        found.append((f"/{case['service']}/{method}", message.SerializeToString()))
    return found


def rest_requests(seed: int) -> Iterator[bytes]:
    """Requests as they go over the wire, without end."""
    rng = random.Random(seed)
    seeds = rest_seeds()
    while True:
        path, document = rng.choice(seeds)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            document = mutate_json(rng, document)
        body = json.dumps(document).encode()
        if rng.random() < 0.3:
            body = mutate_bytes(rng, body, TOKENS)
        if rng.random() < 0.3:
            path = f"/v1/models/{rng.choice(NAMES)}{rng.choice(VERSIONS)}{rng.choice(VERBS)}"
        method = rng.choice(METHODS)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n".encode()
        if rng.random() < 0.05:
            head += b"Content-Encoding: gzip\r\n"
        if rng.random() < 0.05:
            pieces = [body[at : at + 50] for at in range(0, len(body), 50)]
            coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
            yield head + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"
        else:
            yield head + b"Content-Length: %d\r\n\r\n" % len(body) + body


DIMS = [-(2**63), -1, 0, 1, 1, 2, 2, 3, 7, 2**20, 2**31, 2**33, 2**40, 2**62]
SIGNATURES = ["", "", "strs", "strlen", "two", "mat", "scalar", "toscalar", "idiv", "types", "boolin", "f64", "i32"]
SIGNATURES += ["u8", "f16in", "dyn2d", "classify", "nosuch"]
FIELDS = ["float_val", "double_val", "int_val", "int64_val", "bool_val", "uint32_val", "uint64_val", "half_val"]


def invented_call(rng: random.Random) -> bytes:
    """A well-formed PredictRequest whose dtypes, shapes and values fit each other by chance only."""
    request = protos.PredictRequest()
    request.model_spec.name = rng.choice(["zoo", "half_plus_two"])
    request.model_spec.signature_name = rng.choice(SIGNATURES)
    request.output_filter.extend(rng.choice(([], [], [], ["y"], ["y", "y"], ["nosuch"])))
    for name in rng.sample(["x", "x", "m", "a", "b", "txt", "img_bytes", "inputs", ""], rng.randint(0, 3)):
        tensor = request.inputs[name]
        tensor.dtype = rng.choice(
            [0, 1, 1, 1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 14, 17, 19, 20, 21, 22, 23, 25, 101]
        )
        tensor.tensor_shape.unknown_rank = rng.random() < 0.05
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            tensor.tensor_shape.dim.add(size=rng.choice(DIMS) if rng.random() < 0.5 else rng.randint(1, 3))
        for _ in range(rng.choice((0, 1, 1, 2))):
            field = getattr(tensor, rng.choice(FIELDS))
            field.extend([rng.choice((0, 1))] * rng.choice((1, 2, 3, 6)))
        if rng.random() < 0.3:
            tensor.string_val.extend([rng.randbytes(rng.choice((0, 3, 30)))] * rng.choice((1, 2, 3)))
        if rng.random() < 0.2:
            tensor.tensor_content = rng.randbytes(rng.choice((1, 4, 8, 12, 24)))
    data: bytes = request.SerializeToString()
    return data


def calls(seed: int) -> Iterator[tuple[str, bytes]]:
    """Mutated and invented calls, without end."""
    rng = random.Random(seed)
    seeds = grpc_seeds()
    splices = [data[at : at + 12] for _, data in seeds for at in range(0, len(data), 12)]
    splices += [b"\xff" * 10 + b"\x01", b"\x00", b"\x08\x01", b"\x12\x00", b"\x1a\x00", b"\xff" * 4]
    while True:
        if rng.random() < 0.3:
            yield "/tensorflow.serving.PredictionService/Predict", invented_call(rng)
            continue
        path, data = rng.choice(seeds)
        if rng.random() < 0.05:
            path = rng.choice(seeds)[0]
        yield path, mutate_bytes(rng, data, splices)


def raw_http1(seed: int) -> Iterator[bytes]:
    """What arrives on a connection of the REST port, without end."""
    rng = random.Random(seed)
    seeds = rest_seeds()
    while True:
        sent = b""
        for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
            path, document = rng.choice(seeds)
            body = json.dumps(document).encode()
            sent += http1(rng, f"{rng.choice(METHODS)} {path} HTTP/1.{rng.choice('1110')}".encode(), body)
        yield PREFACE + sent if rng.random() < 0.02 else sent


def raw_http2(seed: int) -> Iterator[bytes]:
    """What arrives on a connection of the gRPC port, without end."""
    rng = random.Random(seed)
    messages = calls(seed)
    while True:
        sent = PREFACE + frame(SETTINGS, 0, 0)
        for stream in range(1, 2 * rng.choice((1, 1, 2, 5, 50)), 2):
            path, data = next(messages)
            fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x", "te": "trailers"}
            fields |= {
                "content-type": "application/grpc",
                "grpc-timeout": rng.choice(("1S", "1n", "99999999H", "x", "")),
            }
            if rng.random() < 0.3:
                fields["grpc-encoding"] = rng.choice(("gzip", "deflate", "identity", "br", ""))
            sent += http2(rng, stream, fields, grpc_message(rng, data), None)
        yield sent if rng.random() < 0.95 else sent[len(PREFACE) :]
