"""Generated and mutated requests: the server lives, stays itself, and never blames itself for a client's mistake."""

from __future__ import annotations

import base64
import copy
import json
import random
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format

from tfs_deploy import protos

from .conftest import RECORDED

if TYPE_CHECKING:
    from .conftest import Server

SHORT = 1000
LONG = 50_000
BLOCK = 1000
#: what no reply to a request may say: the fault would be the server's
FAULTS = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE"}

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
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        1.5,
        2**31,
        2**63,
        2**64,
        -(2**63),
        10**40,
        1e308,
        -1e-320,
        "",
        "text",
        "ü€",
        "\x00",
    ),
    *(
        [],
        [[]],
        [[1], [2, 3]],
        {},
        {"b64": "aGk="},
        {"b64": "!"},
        {"b64": 1},
        {"x": [1]},
        [None],
        ["a", 1],
        [[[[[1]]]]],
    ),
]
TOKENS = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"{", b"}", b"[", b"]", b",", b'"', b"\\ud800", b"\xff", b"\x00"]


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


def mutate_json(rng: random.Random, value: Any) -> Any:
    """Change one place of a document."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        changed = dict(value)
        key = rng.choice(list(changed))
        act = rng.random()
        if act < 0.1:
            changed[rng.choice(["instances", "inputs", "signature_name", "examples", "context", "x", ""])] = (
                changed.pop(key)
            )
        else:
            changed[key] = mutate_json(rng, changed[key])
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        changed_list = list(value)
        index = rng.randrange(len(changed_list))
        act = rng.random()
        if act < 0.1:
            del changed_list[index]
        elif act < 0.2:
            changed_list.append(copy.deepcopy(changed_list[index]))
        else:
            changed_list[index] = mutate_json(rng, changed_list[index])
        return changed_list
    return rng.choice(VALUES)


def mutate_bytes(rng: random.Random, data: bytes, tokens: list[bytes]) -> bytes:
    """Flip, cut, repeat or insert."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        act = rng.randrange(6)
        if act == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif act == 1 and out:
            out[at % len(out)] = rng.randrange(256)
        elif act == 2:
            del out[at : at + rng.randint(1, 8)]
        elif act == 3:
            out[at:at] = rng.choice(tokens)
        elif act == 4:
            out[at:at] = out[at : at + rng.randint(1, 16)]
        elif rng.random() < 0.2:
            del out[at:]
    return bytes(out)


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


class Wire:
    """A kept-alive connection that is opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; its status and body."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=300)
        self._socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self._socket.recv(1 << 16)
            assert piece, f"closed without a reply to {request[:300]!r}"
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        fields = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
        length = 0 if request.startswith(b"HEAD") else int(fields.get(b"content-length", b"0"))
        while len(body) < length:
            body += self._socket.recv(1 << 16)
        if fields.get(b"connection") == b"close":
            self.close()
        return int(lines[0].split()[1]), body

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def fuzz_rest(server: Server, seed: int, count: int) -> None:
    wire = Wire(server.rest_port)
    requests = rest_requests(seed)
    for number in range(count):
        request = next(requests)
        status, body = wire.ask(request)
        assert status < 500 or (status == 501 and b"\r\n" not in request.split(b" ")[0]), (status, body, request)
        if number % BLOCK == BLOCK - 1:
            server.assert_well()
    wire.close()


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


def fuzz_grpc(server: Server, seed: int, count: int) -> None:
    generated = calls(seed)
    with grpc.insecure_channel(server.grpc_address, [("grpc.max_receive_message_length", -1)]) as channel:
        methods: dict[str, Any] = {}
        health = channel.unary_unary("/grpc.health.v1.Health/Check")
        for number in range(count):
            path, data = next(generated)
            call = methods.setdefault(path, channel.unary_unary(path))
            reply = call.future(data, timeout=300)
            what = reply.code().name, path, base64.b64encode(data).decode(), reply.details()
            assert what[0] not in FAULTS, what
            if number % BLOCK == BLOCK - 1:
                assert health(b"", timeout=300) == b"\x08\x01"
                server.assert_well()


@pytest.mark.parametrize("seed", [1])
def test_rest_requests(seed: int, server: Server) -> None:
    fuzz_rest(server, seed, SHORT)


@pytest.mark.parametrize("seed", [2])
def test_grpc_messages(seed: int, server: Server) -> None:
    fuzz_grpc(server, seed, SHORT)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_rest_requests(seed: int, server: Server) -> None:
    fuzz_rest(server, seed, LONG // 10)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(200, 210))
def test_many_grpc_messages(seed: int, server: Server) -> None:
    fuzz_grpc(server, seed, LONG // 10)
