# SPDX-License-Identifier: Apache-2.0
"""A very small model server that speaks the real protocol: as a function, over gRPC and over REST."""

from __future__ import annotations

import contextlib
import json
import threading
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict

from tfs_deploy import codec, protos
from tfs_deploy.errors import Code, StatusError, status_error
from tfs_deploy.protos import methods
from tfs_deploy.protos.signatures import DTYPE_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Specs = dict[str, tuple[str, list[int]]]


def signature_def(inputs: Specs, outputs: Specs, defaults: tuple[str, ...] = ()) -> Any:
    definition = protos.SignatureDef(method_name="tensorflow/serving/predict")
    for side, specs in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for name, (dtype, shape) in specs.items():
            side[name].name = f"{name}:0"
            side[name].dtype = DTYPE_NUMBERS[dtype]
            side[name].tensor_shape.SetInParent()
            for size in shape:
                side[name].tensor_shape.dim.add(size=size)
    for name in defaults:
        definition.defaults[name].dtype = DTYPE_NUMBERS[inputs[name][0]]
    return definition


@dataclass
class TinyModel:
    """Halves its input: ``y = x / 2``; ``state``, ``code`` and ``message`` are what status says."""

    dtype: str = "float32"
    state: str = "AVAILABLE"
    code: Code = Code.OK
    message: str = ""

    def signatures(self) -> dict[str, Any]:
        return {
            "serving_default": signature_def({"x": (self.dtype, [-1])}, {"y": (self.dtype, [-1])}),
            "two": signature_def(
                {"image": ("float32", [-1, 2, 2]), "name": ("string", [-1])},
                {"image": ("float32", [-1, 2, 2]), "name": ("string", [-1])},
                defaults=("name",),
            ),
        }


@dataclass
class TinyServer:
    """Answers what a server with ``versions`` and ``labels`` of one model answers; keeps the calls it got."""

    model: str = "half"
    versions: dict[int, TinyModel] = field(default_factory=lambda: {1: TinyModel()})
    labels: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    reload_status: tuple[int, str] = (0, "")
    before: Callable[[str], None] = lambda _path: None

    def answer(self, path: str, body: bytes) -> bytes:
        self.calls.append(path.rpartition("/")[2])
        self.before(path)
        return {
            methods.PREDICT: self._predict,
            methods.GET_MODEL_METADATA: self._metadata,
            methods.GET_MODEL_STATUS: self._status,
            methods.RELOAD_CONFIG: self._reload,
        }[path](body)

    def find(self, name: str, version: int | None, label: str | None) -> int:
        if label is not None:
            if label not in self.labels:
                raise status_error(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
            version = self.labels[label]
        alive = [number for number, model in self.versions.items() if model.state == "AVAILABLE"]
        if name != self.model or not alive or (version is not None and version not in alive):
            request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise status_error(Code.NOT_FOUND, f"Servable not found for request: {request}")
        return max(alive) if version is None else version

    def run(self, version: int, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        if signature == "two":
            return dict(inputs)
        dtype = codec.numpy_dtype(self.versions[version].dtype)
        if inputs["x"].dtype != dtype:
            raise status_error(
                Code.INVALID_ARGUMENT, f"Expects arg[0] to be {dtype} but {inputs['x'].dtype} is provided"
            )
        return {"y": (inputs["x"] / 2).astype(dtype)}

    def states(self, name: str, version: int | None = None) -> Any:
        response = protos.GetModelStatusResponse()
        for number, model in self.versions.items():
            if name == self.model and version in (None, number):
                entry = response.model_version_status.add(version=number, state=model.state)
                entry.status.error_code = int(model.code)
                entry.status.error_message = model.message
        if not response.model_version_status:
            raise status_error(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        return response

    def describe(self, version: int) -> Any:
        response = protos.GetModelMetadataResponse()
        response.model_spec.name = self.model
        response.model_spec.version.value = version
        found = protos.SignatureDefMap()
        for name, definition in self.versions[version].signatures().items():
            found.signature_def[name].CopyFrom(definition)
        response.metadata["signature_def"].Pack(found)
        return response

    def _predict(self, body: bytes) -> bytes:
        call = codec.decode_predict_request(body)
        version = self.find(call.model, call.version, call.label)
        signature = call.signature or "serving_default"
        outputs = self.run(version, signature, call.inputs)
        return codec.encode_predict_response(outputs, model=call.model, version=version, signature=signature)

    def _metadata(self, body: bytes) -> bytes:
        spec = protos.GetModelMetadataRequest.FromString(body).model_spec
        version = spec.version.value if spec.HasField("version") else None
        label = spec.version_label if spec.HasField("version_label") else None
        return self.describe(self.find(spec.name, version, label)).SerializeToString()

    def _status(self, body: bytes) -> bytes:
        spec = protos.GetModelStatusRequest.FromString(body).model_spec
        return self.states(spec.name, spec.version.value if spec.HasField("version") else None).SerializeToString()

    def _reload(self, body: bytes) -> bytes:
        protos.ReloadConfigRequest.FromString(body)
        response = protos.ReloadConfigResponse()
        response.status.error_code, response.status.error_message = self.reload_status
        return response.SerializeToString()


class _GrpcHandler(grpc.GenericRpcHandler):
    def __init__(self, tiny: TinyServer, seen: list[dict[str, Any]]) -> None:
        self._tiny, self._seen = tiny, seen

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        self._seen.append(dict(details.invocation_metadata))

        def answer(body: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                return self._tiny.answer(details.method, body)
            except StatusError as error:
                context.abort(next(c for c in grpc.StatusCode if c.value[0] == error.code), error.message)

        return grpc.unary_unary_rpc_method_handler(answer)


@dataclass
class GrpcListener:
    """Where a tiny server answers over gRPC, and the metadata of each request."""

    address: str
    seen: list[dict[str, Any]]


@contextlib.contextmanager
def listening(
    tiny: TinyServer | None, address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
) -> Iterator[GrpcListener]:
    """Serve over gRPC at an address; ``None`` has no methods at all."""
    pool = futures.ThreadPoolExecutor(4)
    seen: list[dict[str, Any]] = []
    handlers = () if tiny is None else (_GrpcHandler(tiny, seen),)
    server = grpc.server(pool, handlers=handlers, options=[("grpc.max_receive_message_length", -1)])
    port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    server.start()
    try:
        yield GrpcListener(address if address.startswith("unix:") else f"127.0.0.1:{port}", seen)
    finally:
        server.stop(0).wait()
        pool.shutdown()


class _RestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    tiny: TinyServer
    #: a body to send instead, whatever is asked
    canned: tuple[int, bytes] | None = None
    canned_headers: ClassVar[dict[str, str]] = {}
    statuses: ClassVar[dict[Code, int]] = {Code.NOT_FOUND: 404, Code.INVALID_ARGUMENT: 400}

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["content-length"])))

    def _serve(self, body: bytes) -> None:
        try:
            status, answer = self.canned or (200, self._answer(body))
        except StatusError as error:
            status = self.statuses[error.code]
            answer = json.dumps({"error": error.message}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        for name, value in self.canned_headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(answer)

    def _answer(self, body: bytes) -> bytes:
        self.tiny.calls.append(self.path)
        self.tiny.before(self.path)
        path, _, verb = self.path.partition(":")
        parts = path.removesuffix("/metadata").split("/")[3:]
        version = int(parts[2]) if parts[1:2] == ["versions"] else None
        label = parts[2] if parts[1:2] == ["labels"] else None
        if verb == "predict":
            return self._predict(json.loads(body), self.tiny.find(parts[0], version, label))
        if path.endswith("/metadata"):
            return self._metadata(self.tiny.describe(self.tiny.find(parts[0], version, label)))
        states = self.tiny.states(parts[0], version)
        return json.dumps(MessageToDict(states, preserving_proto_field_name=True)).encode()

    def _metadata(self, response: Any) -> bytes:
        found = protos.SignatureDefMap.FromString(response.metadata["signature_def"].value)
        spec = {"name": response.model_spec.name, "version": str(response.model_spec.version.value)}
        document = MessageToDict(found, preserving_proto_field_name=True)
        return json.dumps({"model_spec": spec, "metadata": {"signature_def": document}}).encode()

    def _predict(self, body: dict[str, Any], version: int) -> bytes:
        signature = body.get("signature_name", "serving_default")
        dtypes = self.tiny.versions[version].signatures()[signature].inputs
        inputs = {
            name: np.array(value, codec.numpy_dtype(dtypes[name].dtype)) for name, value in body["inputs"].items()
        }
        outputs = {name: array.tolist() for name, array in self.tiny.run(version, signature, inputs).items()}
        return json.dumps({"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}).encode()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def tiny() -> TinyServer:
    return TinyServer()


@pytest.fixture
def new_server() -> type[TinyServer]:
    return TinyServer


@pytest.fixture
def new_model() -> type[TinyModel]:
    return TinyModel


@pytest.fixture
def new_signature() -> Callable[..., Any]:
    return signature_def


@pytest.fixture
def listen() -> Callable[..., contextlib.AbstractContextManager[GrpcListener]]:
    return listening


@pytest.fixture
def grpc_listener(tiny: TinyServer) -> Iterator[GrpcListener]:
    with listening(tiny) as listener:
        yield listener


@pytest.fixture
def grpc_address(grpc_listener: GrpcListener) -> str:
    return grpc_listener.address


@pytest.fixture
def rest_handler(tiny: TinyServer) -> type[_RestHandler]:
    return type("Handler", (_RestHandler,), {"tiny": tiny})


@pytest.fixture
def rest_address(rest_handler: type[_RestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), rest_handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
