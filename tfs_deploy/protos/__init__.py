# SPDX-License-Identifier: Apache-2.0
"""The wire schema of TensorFlow Serving: message classes by name, without TensorFlow.

``schema.binpb`` is one FileDescriptorSet read out of the installed ``tensorflow-serving-api`` and ``tensorflow``
packages by ``scripts/make_schema``. It is loaded on first use into a pool of its own, so these classes live beside
those of the real packages in one process, in either import order. Message classes are attributes of this module
(``protos.PredictRequest()``); protobuf makes them at run time, so their static type is ``Any``.
"""

from __future__ import annotations

import functools
import threading
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

#: where a message is looked for by its name alone; a name of an earlier package wins
_PACKAGES = ("tensorflow.serving", "tensorflow", "google.protobuf", "grpc.health.v1")

__all__ = ["entries_class", "message_class", "parse_text", "pool", "schema_bytes", "to_text"]


#: if two threads come first at the same time, only one may build the pool: its classes belong together
_lock = threading.RLock()


def schema_bytes() -> bytes:
    """Return the serialized FileDescriptorSet that this package ships."""
    return resources.files(__package__).joinpath("schema.binpb").read_bytes()


def pool() -> DescriptorPool:
    """Return the private pool that holds the schema."""
    with _lock:
        return _pool()


@functools.lru_cache(maxsize=1)
def _pool() -> DescriptorPool:
    from google.protobuf import descriptor_pb2
    from google.protobuf.descriptor_pool import DescriptorPool

    private = DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(schema_bytes()).file:
        private.AddSerializedFile(file.SerializeToString())
    return private


def message_class(full_name: str) -> type[Message]:
    """Return the class of a message, e.g. ``tensorflow.serving.PredictRequest``; ``KeyError`` if there is none."""
    with _lock:
        return _message_class(full_name)


@functools.cache
def _message_class(full_name: str) -> type[Message]:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(pool().FindMessageTypeByName(full_name))


def entries_class(full_name: str) -> type[Message]:
    """Return the class of a message whose maps are lists of entries: in a text, a key given twice then shows."""
    from google.protobuf import descriptor_pb2, message_factory
    from google.protobuf.descriptor_pool import DescriptorPool

    private = DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(schema_bytes()).file:
        for message in file.message_type:
            for nested in message.nested_type:
                nested.options.ClearField("map_entry")
        private.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(private.FindMessageTypeByName(full_name))


def parse_text(text: str, message: Any, *, allow_unknown: bool = False) -> Any:
    """Fill ``message`` from protobuf text format and return it; raises ``google.protobuf.text_format.ParseError``."""
    from google.protobuf import text_format

    text_format.Parse(text, message, descriptor_pool=pool(), allow_unknown_field=allow_unknown)
    return message


def to_text(message: Any) -> str:
    """Write a message in protobuf text format, with expanded ``Any`` fields."""
    from google.protobuf import text_format

    return text_format.MessageToString(message, descriptor_pool=pool())


def __getattr__(name: str) -> Any:
    for package in _PACKAGES if name[:1].isupper() else ():
        try:
            value = message_class(f"{package}.{name}")
        except KeyError:
            continue
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
