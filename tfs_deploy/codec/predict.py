# SPDX-License-Identifier: Apache-2.0
"""PredictRequest and PredictResponse as bytes (tensorflow_serving/apis/predict.proto, model.proto), both directions."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tfs_deploy.codec.decode import MAX_FILLED, TensorError, as_buffer, read_tensor
from tfs_deploy.codec.encode import memory_head, tensor_parts
from tfs_deploy.codec.layout_cache import LayoutCache
from tfs_deploy.codec.messages import PredictCall, PredictReply, RequestOptions
from tfs_deploy.codec.quantized import integers
from tfs_deploy.codec.wire import Buffer, MalformedError, delimited, scan, signed, text, varint
from tfs_deploy.errors import DataLossError, InvalidArgumentError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray
    from typing_extensions import Unpack

_MAX_MESSAGE: Final = 2**31 - 1
#: the first two fields of both messages: model_spec and a map of tensors, in opposite order
_REQUEST_SPEC: Final = b"\x0a"
_REQUEST_INPUT: Final = b"\x12"
_RESPONSE_OUTPUT: Final = b"\x0a"
_RESPONSE_SPEC: Final = b"\x12"
_FIELD1: Final = 1 << 3 | 2
_FIELD2: Final = 2 << 3 | 2
_FIELD3: Final = 3 << 3 | 2
_FIELD4: Final = 4 << 3 | 2
_MAX_CACHED_SPEC: Final = 512
#: bytes of memory for one on the wire where every value was sent: a small integer is one byte
_MOST_PER_BYTE: Final = 16

_Spec: TypeAlias = tuple[str, str, "int | None", "str | None"]
_requests: LayoutCache[tuple[_Spec, tuple[str, ...]]] = LayoutCache()
_responses: LayoutCache[_Spec] = LayoutCache()


def encode_predict_request(
    model: str,
    inputs: Mapping[str, Any],
    *,
    signature: str | None = None,
    label: str | None = None,
    version: int | None = None,
    output_filter: Iterable[str] = (),
) -> bytes:
    """Serialize a PredictRequest; arrays go into ``tensor_content``, copied once.

    Args:
        model: the servable's name.
        inputs: name -> array, numpy scalar, number, text, bytes or nested list; dtypes as in ``arrays.as_array``.
        signature: ``None`` lets the server take ``serving_default``.
        label: a version label.
        version: a version number; not together with ``label``.
        output_filter: names of the wanted outputs; none = all.

    Raises:
        RequestError: label and version given, an input that cannot be a tensor, or more than 2 GiB.
    """
    spec, tail = _around(model, signature, label, version, output_filter)
    parts: list[Any] = [spec]
    name = ""
    try:
        for name, value in inputs.items():
            parts += tensor_parts(_REQUEST_INPUT, name, value)
    except RequestError as error:
        raise RequestError(f"input {name}: {error.message}", hint=error.hint) from error
    parts.append(tail)
    return _join(parts)


def frame_predict_request(
    model: str, inputs: Mapping[str, Any], **options: Unpack[RequestOptions]
) -> tuple[bytes, ...] | None:
    """Return a PredictRequest without its arrays' memory: the bytes in front of each array, and those behind the last.

    It is the same for all arrays of these dtypes and shapes. ``None`` where a value is more than its memory: text,
    lists, strided arrays, other byte orders, types of ml_dtypes.
    """
    heads = [memory_head(_REQUEST_INPUT, name, value) for name, value in inputs.items()]
    spec, tail = _around(model, **options)
    known = [head for head in heads if head is not None]
    if not known or len(known) < len(heads):
        return None
    known[0] = spec + known[0]
    size = sum(map(len, known)) + sum(value.nbytes for value in inputs.values()) + len(tail)
    return (*known, tail) if size <= _MAX_MESSAGE else None


def encode_predict_response(
    outputs: Mapping[str, Any], *, model: str, version: int, signature: str, tensor_content: bool = False
) -> bytes:
    """Serialize a PredictResponse.

    Args:
        outputs: name -> array.
        model: the servable's name.
        version: the version that answered.
        signature: the signature that answered.
        tensor_content: what ``--enable_serialization_as_tensor_content`` asks for; the server's default is the
            ``*_val`` fields, which consumers of the plain messages read.

    Raises:
        RequestError: an output's dtype has no place in a TensorProto, or more than 2 GiB.
    """
    parts: list[Any] = []
    for name, value in outputs.items():
        parts += tensor_parts(_RESPONSE_OUTPUT, name, value, typed=not tensor_content)
    parts.append(_model_spec(_RESPONSE_SPEC, model, signature, None, version))
    return _join(parts)


def decode_predict_request(data: bytes | bytearray | memoryview) -> PredictCall:
    """Read a PredictRequest; inputs are read-only views on ``data`` where that is possible, quantized in wire form.

    Raises:
        DataLossError: the bytes are not a PredictRequest (gRPC's own parsers answer INTERNAL).
        InvalidArgumentError: an input is not a valid tensor; the message is the server's, the hint says why.
    """
    known = _requests.read(data) if type(data) is bytes else None
    if known is None:
        head, inputs, filled = _parse_request(as_buffer(data))
        if type(data) is bytes:
            _requests.learn(data, head, inputs)
    else:
        head, inputs = known
        filled = 0
    (model, signature, version, label), output_filter = head
    return PredictCall(model, signature or None, version, label, inputs, output_filter, filled)


def decode_predict_response(data: bytes | bytearray | memoryview) -> PredictReply:
    """Read a PredictResponse; outputs are read-only views on ``data`` where that is possible.

    Quantized outputs become plain integers.

    Raises:
        DataLossError: the bytes are not a PredictResponse, or an output is not a valid tensor.
    """
    known = _responses.read(data) if type(data) is bytes else None
    if known is None:
        spec, outputs = _parse_response(as_buffer(data))
        if type(data) is bytes:
            _responses.learn(data, spec, outputs)
    else:
        spec, outputs = known
    return PredictReply(outputs, model=spec[0], signature=spec[1], version=spec[2])


def _parse_request(data: Buffer) -> tuple[tuple[_Spec, tuple[str, ...]], dict[str, NDArray[Any]], int]:
    specs: list[Buffer] = []
    inputs: dict[str, NDArray[Any]] = {}
    output_filter: list[str] = []
    name = ""
    filled = 0
    try:
        for key, start, stop in scan(data, 0, len(data)):
            if key == _FIELD1:
                specs.append(data[start:stop])
            elif key == _FIELD2:
                name, begin, end = _entry(data, start, stop)
                array = inputs[name] = read_tensor(data, begin, end)
                if array.nbytes > _MOST_PER_BYTE * (end - begin):
                    filled = _add_filled(filled, array)
            elif key == _FIELD3:
                output_filter.append(text(data, start, stop))
        head = _read_spec(b"".join(specs))
    except MalformedError as error:
        raise DataLossError(f"not a PredictRequest: {error}") from error
    except TensorError as error:
        # servables/tensorflow/predict_util.cc PreProcessPrediction
        raise InvalidArgumentError(f"tensor parsing error: {name}", hint=str(error)) from error
    return (head, tuple(output_filter)), inputs, filled


def _parse_response(data: Buffer) -> tuple[_Spec, dict[str, NDArray[Any]]]:
    specs: list[Buffer] = []
    outputs: dict[str, NDArray[Any]] = {}
    name = ""
    filled = 0
    try:
        for key, start, stop in scan(data, 0, len(data)):
            if key == _FIELD1:
                name, begin, end = _entry(data, start, stop)
                array = outputs[name] = integers(read_tensor(data, begin, end))
                if array.nbytes > _MOST_PER_BYTE * (end - begin):
                    filled = _add_filled(filled, array)
            elif key == _FIELD2:
                specs.append(data[start:stop])
        head = _read_spec(b"".join(specs))
    except MalformedError as error:
        raise DataLossError(f"not a PredictResponse: {error}") from error
    except TensorError as error:
        raise DataLossError(f"output {name} of the reply cannot be read: {error}") from error
    return head, outputs


def _add_filled(filled: int, array: NDArray[Any]) -> int:
    """Return the filled bytes of a message with one tensor more; the limit is on their sum, not on each."""
    filled += array.nbytes
    if filled > MAX_FILLED:
        raise TensorError(f"the message asks for {filled} bytes more than it has values for")
    return filled


def _around(
    model: str,
    signature: str | None = None,
    label: str | None = None,
    version: int | None = None,
    output_filter: Iterable[str] = (),
) -> tuple[bytes, bytes]:
    """Return what a PredictRequest has before its inputs, and what it has behind them."""
    spec = _model_spec(_REQUEST_SPEC, model, signature, label, version)
    return spec, b"".join([delimited(b"\x1a", name.encode()) for name in output_filter]) if output_filter else b""


def _join(parts: list[Any]) -> bytes:
    data = b"".join(parts)
    if len(data) > _MAX_MESSAGE:
        raise RequestError(
            f"the message has {len(data)} bytes, but protobuf allows only 2 GiB", hint="send smaller batches"
        )
    return data


@functools.lru_cache(maxsize=256)
def _model_spec(tag: bytes, model: str, signature: str | None, label: str | None, version: int | None) -> bytes:
    spec = delimited(b"\x0a", model.encode()) if model else b""
    if version is not None:
        if label is not None:
            raise RequestError("a request names a version or a label, not both", hint="drop one of the two")
        if not -(2**63) <= version < 2**63:
            raise RequestError(f"version {version} does not fit 64 bits")
        spec += delimited(b"\x12", b"\x08" + varint(version) if version else b"")
    if signature:
        spec += delimited(b"\x1a", signature.encode())
    if label is not None:
        spec += delimited(b"\x22", label.encode())
    return delimited(tag, spec)


def _read_spec(data: bytes) -> _Spec:
    return _cached_spec(data) if len(data) <= _MAX_CACHED_SPEC else _parse_spec(data)


def _parse_spec(data: bytes) -> _Spec:
    """Read a ModelSpec: name, signature, version, label; of the oneof of the last two the later one counts."""
    model = signature = ""
    version: int | None = None
    label: str | None = None
    for key, start, stop in scan(data, 0, len(data)):
        if key == _FIELD1:
            model = text(data, start, stop)
        elif key == _FIELD2:
            version, label = version or 0, None
            for value_key, value, _ in scan(data, start, stop):
                if value_key == 1 << 3:
                    version = signed(value)
        elif key == _FIELD3:
            signature = text(data, start, stop)
        elif key == _FIELD4:
            version, label = None, text(data, start, stop)
    return model, signature, version, label


_cached_spec = functools.lru_cache(maxsize=256)(_parse_spec)


def _entry(data: Buffer, start: int, stop: int) -> tuple[str, int, int]:
    """Read a map entry: its key, and where its value is (nowhere if missing: an empty message)."""
    name = ""
    where = (start, start)
    for key, begin, end in scan(data, start, stop):
        if key == _FIELD1:
            name = text(data, begin, end)
        elif key == _FIELD2:
            where = (begin, end)
    return name, *where
