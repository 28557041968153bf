# SPDX-License-Identifier: Apache-2.0
"""A message that is parsed in pieces is the message, and no piece takes long."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from google.protobuf.message import DecodeError

from tfs_deploy import protos
from tfs_deploy.codec.wire import delimited
from tfs_deploy.protos import pieces
from tfs_deploy.protos.pieces import parse_in_pieces


def classify(rng: random.Random) -> Any:
    request = protos.ClassificationRequest()
    request.model_spec.name = "m" * rng.choice((0, 1, 50))
    request.model_spec.version.value = rng.randrange(1 << 40)
    kind = rng.choice(("example_list", "example_list_with_context"))
    for _ in range(rng.randrange(6)):
        features = getattr(request.input, kind).examples.add().features.feature
        for name in rng.sample("abcdef", rng.randrange(4)):
            features[name].float_list.value.extend([1.5] * rng.randrange(20))
        features["text"].bytes_list.value.extend([b"xyz", "ü".encode()] * rng.randrange(5))
    return request


@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_message_in_pieces_is_the_message(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", size)
    rng = random.Random(size)
    for number in range(300):
        kind: Any = protos.ClassificationRequest
        data = classify(rng).SerializeToString() + rng.choice((b"", classify(rng).SerializeToString()))
        if number % 2 and data:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + rng.choice((0, 1, len(data))) :]
        try:
            expected = kind.FromString(data)
        except DecodeError:
            expected = None
        try:
            found = parse_in_pieces(kind, data)
        except DecodeError as error:
            refused = str(error)
            found = expected if "group" in refused else None
        assert found == expected


@pytest.mark.parametrize("example", [b"", delimited(b"\x0a", b"\x0a\x00"), b"\x0a" * 3], ids=["empty", "one", "bad"])
def test_no_piece_takes_long(example: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0.0
    merge = pieces._merge

    def measured(message: Any, data: memoryview, proceed: Any) -> None:
        nonlocal longest
        assert len(data) <= pieces.PIECE or message.DESCRIPTOR.name in ("ClassificationRequest", "Input", "ExampleList")
        begun = time.thread_time()
        merge(message, data, proceed)
        longest = max(longest, time.thread_time() - begun if len(data) <= pieces.PIECE else 0.0)

    monkeypatch.setattr(pieces, "_merge", measured)
    record = delimited(b"\x0a", example)
    examples = record * ((4 << 20) // len(record))
    data = delimited(b"\x12", delimited(b"\x0a", examples))
    try:
        parsed = parse_in_pieces(protos.ClassificationRequest, data)
        assert len(parsed.input.example_list.examples) == len(examples) // len(record)
    except DecodeError:
        assert example == b"\x0a" * 3
    assert longest < 0.3
