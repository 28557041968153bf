# SPDX-License-Identifier: Apache-2.0
"""The server's side of REST classify and regress: bodies to tf.Examples, results to replies (util/json_tensor.cc)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from tfs_deploy import protos
from tfs_deploy.codec.json.large_request import Proceed, each_element, parse_request
from tfs_deploy.codec.json.pieces import LargeList
from tfs_deploy.codec.json.server_reply import dump_array
from tfs_deploy.codec.json.tensors import decode_base64, is_base64, kind_name
from tfs_deploy.codec.json.text import members, print_json
from tfs_deploy.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLES: Final = "examples"
_CONTEXT: Final = "context"
_MAX_INT64: Final = 2**63 - 1
_KINDS: Final = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


@dataclass(frozen=True, slots=True)
class ExamplesBody:
    """A parsed request: the signature's name and an Input message."""

    signature: str
    input: Any


def parse_examples_body(data: bytes, proceed: Proceed) -> ExamplesBody:
    """Parse the body of a classify or regress request; ``proceed`` is called between pieces of a large one.

    Raises:
        InvalidArgumentError: with the server's text.
    """
    body = parse_request(data, proceed)
    document = body.exact()
    message = protos.Input()
    target = message.example_list
    if _CONTEXT in document:
        _fill_example(document[_CONTEXT], message.example_list_with_context.context)
        target = message.example_list_with_context
    if _EXAMPLES not in document:
        raise InvalidArgumentError(
            f"JSON Value: {print_json(document)} When method is classify, key 'examples' is expected and was not found"
        )
    examples = document[_EXAMPLES]
    if not isinstance(examples, (list, LargeList)):
        raise InvalidArgumentError(f"JSON Value: {print_json(document)} Expecting 'examples' value to be an list/array")
    if isinstance(examples, list) and not examples:
        raise InvalidArgumentError(f"JSON Value: {print_json(document)} 'examples' value is an empty array")
    for example in each_element(examples, proceed):
        _fill_example(example, target.examples.add())
    return ExamplesBody(body.signature, message)


def _fill_example(value: Any, example: Any) -> None:
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"Example must be JSON object but got JSON {kind_name(value)}")
    for whole, content in members(value):
        # the server takes names as C strings; of members with equal names the last counts
        name = whole.partition("\0")[0]
        if not name.isascii() and name != name.encode("utf-8", "replace").decode():
            raise InvalidArgumentError(f"Feature name {print_json(name)} is not valid UTF-8")
        feature = example.features.feature[name]
        feature.Clear()
        for item in content if isinstance(content, list) else [content]:
            _add_value(item, name, feature)


def _add_value(value: Any, name: str, feature: Any) -> None:
    if isinstance(value, bool):
        _list(feature, "int64_list", name).append(int(value))
    elif isinstance(value, str):
        _list(feature, "bytes_list", name).append(value.encode("utf-8", "surrogateescape"))
    elif is_base64(value):
        _list(feature, "bytes_list", name).append(decode_base64(value["b64"]))
    elif isinstance(value, float):
        with np.errstate(over="ignore"):
            _list(feature, "float_list", name).append(float(np.float32(value)))
    elif isinstance(value, int):
        values = _list(feature, "int64_list", name)
        if value > _MAX_INT64:
            raise InvalidArgumentError(f"Feature: {name} has uint64 element. Only int64 is supported.")
        values.append(value)
    else:
        raise InvalidArgumentError(f"Feature: {name} has element with unexpected JSON type: {kind_name(value)}")


def _list(feature: Any, kind: str, name: str) -> Any:
    """Return the list to append to; all values of a feature are of one kind."""
    there = feature.WhichOneof("kind")
    if there not in (None, kind):
        raise InvalidArgumentError(f"Unexpected element type in feature: {name} expecting type: {_KINDS[there]}")
    return getattr(feature, kind).value


def encode_classifications(result: Any) -> bytes:
    """Write a ClassificationResult as a reply body."""
    if not result.classifications:
        raise InvalidArgumentError("Cannot convert empty ClassificationResults to JSON")
    rows = []
    for classification in result.classifications:
        scores = _numbers([each.score for each in classification.classes])
        labels = [orjson.dumps(each.label) for each in classification.classes]
        rows.append(b"[%b]" % b",".join(b"[%b,%b]" % pair for pair in zip(labels, scores, strict=True)))
    return b'{"results": [%b]}' % b",".join(rows)


def encode_regressions(result: Any) -> bytes:
    """Write a RegressionResult as a reply body."""
    if not result.regressions:
        raise InvalidArgumentError("Cannot convert empty RegressionResults to JSON")
    return b'{"results": [%b]}' % b",".join(_numbers([each.value for each in result.regressions]))


def _numbers(values: Sequence[float]) -> list[bytes]:
    return dump_array("", np.array(values, np.float32))[1:-1].split(b",") if values else []
