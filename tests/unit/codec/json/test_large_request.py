# SPDX-License-Identifier: Apache-2.0
"""Large bodies are read in pieces: what comes out is what the body as a whole would give."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from typing import Any, Final

import numpy as np
import pytest

from tfs_deploy.codec.json import client, large_request, pieces, server_reply
from tfs_deploy.codec.json.examples import parse_examples_body
from tfs_deploy.codec.json.large_request import parse_request, read_request
from tfs_deploy.codec.json.server_reply import encode_predictions
from tfs_deploy.codec.json.server_request import Format, parse_body, read_inputs
from tfs_deploy.errors import CancelledError, InvalidArgumentError, StatusError
from tfs_deploy.protos.signatures import TensorSpec


def specs(**dtypes: str) -> dict[str, TensorSpec]:
    return {name: TensorSpec(name, dtype, None) for name, dtype in dtypes.items()}


def proceed() -> None:
    pass


def outcome(read: Any) -> Any:
    """Return arrays as values, or that there was an error."""
    try:
        arrays, form = read()
    except StatusError as error:
        return error.code
    return form, {name: (array.dtype, array.shape, repr(array.tolist())) for name, array in arrays.items()}


def whole(data: bytes, wanted: dict[str, TensorSpec]) -> Any:
    return outcome(lambda: read_inputs(parse_body(data), wanted))


def in_pieces(data: bytes, wanted: dict[str, TensorSpec]) -> Any:
    return outcome(lambda: read_request(parse_request(data, proceed), wanted))


FORMS: Final[tuple[Format, Format]] = ("row", "column")
TEXTS = ["", "a", "ü€", 'quo"te', "back\\", '\\"', "[,]", "{", "}]", "\\\\\\", "😀"]


def scalar(rng: random.Random, dtype: str) -> Any:
    if dtype == "string":
        return {"b64": "aGk="} if rng.random() < 0.2 else rng.choice(TEXTS) * rng.choice((1, 1, 30))
    if dtype == "bool":
        return rng.random() < 0.5
    return rng.choice((0, 1, -1, 12345, 2**40)) if dtype == "int64" else rng.choice((0.5, 1, -2.25, 1e300, 0.1))


def nested(rng: random.Random, shape: tuple[int, ...], dtype: str) -> Any:
    if not shape:
        return scalar(rng, dtype)
    return [nested(rng, shape[1:], dtype) for _ in range(shape[0])]


def drawn(rng: random.Random) -> tuple[bytes, dict[str, TensorSpec]]:
    wanted = {name: rng.choice(("float32", "int64", "string", "bool")) for name in ("x", "y")[: rng.choice((1, 1, 2))]}
    shapes = {name: tuple(rng.randint(1, 4) for _ in range(rng.randint(0, 3))) for name in wanted}
    count = rng.choice((1, 2, 9))
    rows: Any = [{name: nested(rng, shapes[name], dtype) for name, dtype in wanted.items()} for _ in range(count)]
    document: dict[str, Any] = {"signature_name": rng.choice(TEXTS)} if rng.random() < 0.5 else {}
    if rng.random() < 0.5:
        document["inputs"] = {name: [row[name] for row in rows] for name in wanted}
        if len(wanted) == 1 and rng.random() < 0.5:
            document["inputs"] = document["inputs"]["x"]
    else:
        document["instances"] = [row["x"] for row in rows] if len(wanted) == 1 and rng.random() < 0.5 else rows
    if rng.random() < 0.3:
        document["other"] = nested(rng, (3, 2), "float32")
    data = json.dumps(
        document,
        ensure_ascii=rng.random() < 0.5,
        indent=rng.choice((None, None, 1)),
        separators=rng.choice((None, (",", ":"))),
    ).encode()
    if rng.random() < 0.5:
        at = rng.randrange(len(data))
        token = rng.choice([b",", b"]", b"[", b"{", b"}", b'"', b":", b"\\", b"1", b" ", b"NaN", b"null", b"", b"\xff"])
        data = data[:at] + token + data[at + rng.choice((0, 1)) :]
    return data + rng.choice((b"", b"", b" ", b"x", b"]")), specs(**wanted)


@pytest.mark.parametrize("size", [1, 2, 5, 16, 60, 300])
def test_pieces_give_what_the_whole_gives(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_request, "LARGE", 0)
    monkeypatch.setattr(pieces, "PIECE", size)
    rng = random.Random(size)
    good = 0
    for _ in range(120):
        data, wanted = drawn(rng)
        expected = whole(data, wanted)
        good += isinstance(expected, tuple)
        assert in_pieces(data, wanted) == expected, (data, wanted)
    assert good > 36


def test_a_large_list_stays_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 64)
    taken = pieces.parse_large(b'{"a": 1, "b": [' + b"[1, 2], " * 100 + b"3]}", proceed)
    assert isinstance(taken, pieces.LargeObject)
    assert taken.pairs[0] == ("a", 1)
    found = taken.first()["b"]
    assert isinstance(found, pieces.LargeList)
    assert len(found.parts) > 10
    texts = [part for part in found.parts if isinstance(part, bytes)]
    assert len(texts) >= len(found.parts) - 1  # the row in which the first chunk ended
    assert max(map(len, texts)) <= 2 * 64


@pytest.mark.parametrize(
    "body", [b'{"examples": [%b {"x": [1.0]}]}', b'{"context": {"c": 1}, "examples": [%b {"x": 2}]}']
)
def test_examples_in_pieces(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = body % (b'{"x": [1.5, 2.5], "name": "a,]"}, ' * 40)
    expected = parse_examples_body(data, proceed)
    monkeypatch.setattr(large_request, "LARGE", 0)
    monkeypatch.setattr(pieces, "PIECE", 100)
    assert parse_examples_body(data, proceed) == expected


def test_a_body_whose_caller_has_gone_is_read_no_further() -> None:
    turns = iter([None, None, CancelledError("gone")])

    def stop() -> None:
        if error := next(turns):
            raise error

    body = b'{"instances": [' + b"[NaN], " * (1 << 20) + b"[1]]}"
    with pytest.raises(CancelledError):
        read_request(parse_request(body, stop), specs(x="float32"))


LARGE_BODIES = {
    "empty lists": (b'{"instances":[', b"[],", b"[]]}", "float32"),
    "numbers": (b'{"inputs":[', b"1.5,", b"1]}", "float32"),
    "one row": (b'{"instances":[[', b"1.5,", b"1]]}", "float32"),
    "objects": (b'{"instances":[', b'{"x":[1]},', b'{"x":[1]}]}', "int64"),
    "an escaped text": (b'{"instances":["', b'\\"', b'"]}', "string"),
    "surrogates": (b'{"instances":["', b"\\ud83d\\ude00", b'"]}', "string"),
    "surrogates in rows": (b'{"instances":[', b'"\\ud83d\\ude00",', b'"\\ude00"]}', "string"),
    "base64": (b'{"instances":[{"b64":"', b"abcd", b'"}]}', "string"),
    "not used": (b'{"instances":[1],"z":[', b"[],", b"[]]}", "float32"),
    "brackets": (b"", b"[", b"", "float32"),
    "does not end": (b'{"instances":[', b"[],", b"", "float32"),
}


@pytest.mark.parametrize("name", LARGE_BODIES)
def test_no_call_takes_long(name: str) -> None:
    begin, repeated, end, dtype = LARGE_BODIES[name]
    data = begin + repeated * ((4 << 20) // len(repeated)) + end
    pauses = []
    last = time.thread_time()

    def note() -> None:
        nonlocal last
        now = time.thread_time()
        pauses.append(now - last)
        last = now

    outcome(lambda: read_request(parse_request(data, note), specs(x=dtype)))
    assert len(pauses) >= 1
    assert max(pauses) < 0.3, name


def test_one_long_text_does_not_widen_all_elements() -> None:
    numbers = b"1," * 10_000
    for dtype in ("float32", "int64", "bool", "string"):
        for text in (b'"%b"' % (b"a" * 100_000), b'"\\"%b"' % (b"a" * 100_000)):
            for body in (b'{"instances": [%b%b]}' % (numbers, text), b'{"inputs": {"x": [%b%b]}}' % (numbers, text)):
                tracemalloc.start()
                outcome(lambda body=body, dtype=dtype: read_inputs(parse_body(body), specs(x=dtype)))
                _, peak = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                assert peak < 16 << 20, (dtype, body[:30])


def test_the_first_row_does_not_size_all() -> None:
    body = b'{"instances": [[%b"a"], %b[]]}' % (b'"a",' * 3000, b"[]," * 30_000)
    tracemalloc.start()
    assert whole(body, specs(x="string")).name == "INVALID_ARGUMENT"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize("size", [7, 50, 1000])
def test_large_replies_are_written_and_read_in_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    texts = np.array(["a,]", 'quo"te', "ü\\"] * 8, object)
    encoded = np.array([text.encode() for text in texts], object).reshape(4, 2, 3)
    outputs = {"f": rng.random((4, 30), np.float32), "i": rng.integers(-9, 9, (4, 1, 5)), "s": encoded}
    outputs["nan"] = np.full((4, 1), np.nan, np.float64)
    expected = {**specs(f="float32", i="int64", s="string", nan="float64")}
    chosen: list[list[str]] = [["f"], ["i"], ["s"], ["f", "i", "s", "nan"], ["f", "s"]]
    whole_replies = [
        encode_predictions({name: outputs[name] for name in names}, form) for names in chosen for form in FORMS
    ]
    monkeypatch.setattr(server_reply, "_PIECE", size)
    monkeypatch.setattr(client, "_LARGE", 0)
    monkeypatch.setattr(pieces, "PIECE", size)
    cut = [encode_predictions({name: outputs[name] for name in names}, form) for names in chosen for form in FORMS]
    for one, other in zip(whole_replies, cut, strict=True):
        assert one.replace(b", ", b",") == other.replace(b", ", b",")
    for names, reply in zip(chosen, cut[1::2], strict=True):
        read = client.decode_predict_body(reply, {name: expected[name] for name in names})
        for name in names:
            np.testing.assert_array_equal(read[name], outputs[name])
            assert not read[name].flags.writeable


def test_a_feature_whose_name_is_not_utf8_is_refused() -> None:
    assert parse_examples_body('{"examples": [{"ü": 1}]}'.encode(), proceed).input.example_list.examples
    for name in (b"\xc4", b"a\xff"):
        with pytest.raises(InvalidArgumentError, match="is not valid UTF-8"):
            parse_examples_body(b'{"examples": [{"%b": 0}]}' % name, proceed)
