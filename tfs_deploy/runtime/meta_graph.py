# SPDX-License-Identifier: Apache-2.0
"""The few fields of a MetaGraphDef that serving needs, read without parsing its graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tfs_deploy import protos
from tfs_deploy.codec.wire import scan

#: field numbers and wire types of tensorflow/core/protobuf/meta_graph.proto, as ``number << 3 | type``
_META_INFO: Final = 1 << 3 | 2
_SIGNATURES: Final = 5 << 3 | 2
_VERSION: Final = 5 << 3 | 2


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """A meta graph without its graph; ``signature_defs`` are messages by name."""

    signature_defs: dict[str, Any]
    tensorflow_version: str


def read_meta_graph(data: bytes) -> MetaGraph:
    """Read a serialized MetaGraphDef; the graph in it, which may hold all weights, is stepped over."""
    signatures: dict[str, Any] = {}
    version = ""
    for key, start, stop in scan(data, 0, len(data)):
        if key == _SIGNATURES:
            entry = protos.SignatureDefMap.FromString(b"\x0a" + _varint(stop - start) + data[start:stop])
            signatures.update(entry.signature_def)
        elif key == _META_INFO:
            fields = {inner: data[begin:end] for inner, begin, end in scan(data, start, stop) if inner == _VERSION}
            version = fields.get(_VERSION, b"").decode(errors="replace")
    return MetaGraph(signatures, version)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
