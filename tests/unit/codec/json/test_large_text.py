# SPDX-License-Identifier: Apache-2.0
"""Texts beyond the exact parser's limit: the same answers, by the fast parser and a scan, in linear time."""

from __future__ import annotations

import random
import time

import pytest

from tfs_deploy.codec.json import text
from tfs_deploy.codec.json.text import parse_json
from tfs_deploy.errors import InvalidArgumentError

PIECES = [
    "[", "]", "{", "}", ",", ":", '"a"', '"b":', "1", "-2.5", "1e999", "1e5", "null", "true", " ", '"', "\\", '\\"',
    "\\ud83d", "\\ude00", "\\ud83d\\ude00", '"\\ud83d\\ude00"', '"\\ude00"', '"\\ud83d"',
    '"\\n"', '"\\x"', "[1,2]", '{"a":1}', '"é"',
]  # fmt: skip


def answer(data: bytes) -> object:
    try:
        return repr(parse_json(data))
    except InvalidArgumentError as error:
        return error.message


def draw_text(draw: random.Random) -> str:
    wrap = draw.choice(["%s", "[%s]", '{"k": [%s]}', "[" * 190 + "%s" + "]" * 190, "[" * 201 + "%s"])
    return wrap % ", ".join(
        "".join(draw.choices(PIECES, k=draw.randint(1, 3))) if draw.random() < 0.3 else draw.choice(['"a"', "1", "[2]"])
        for _ in range(draw.randint(1, 6))
    )


#: problems that the fast parser sees elsewhere or words in another way; they are errors all the same
LOOSE = ("Missing a", "Invalid", "The document", "Terminate", "Miss ", "Incorrect", "The surrogate", "Number too big")


@pytest.mark.parametrize("seed", range(10))
def test_a_large_text_means_what_it_means_to_the_exact_parser(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    for _ in range(50):
        data = draw_text(draw).encode()
        exact = answer(data)
        with monkeypatch.context() as patch:
            patch.setattr(text, "_MAX_EXAMINED", 0)
            large = answer(data)
        if str(exact).startswith("JSON Parse error"):
            assert str(large).startswith(tuple(f"JSON Parse error: {problem}" for problem in LOOSE)), data
        else:
            assert large == exact, data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"x": ["\\ud83d\\ude00", "\\ud83d"]}', "The surrogate pair in string is invalid. at offset: 24"),
        (b'["\\ude00"]', "The surrogate pair in string is invalid. at offset: 2"),
        (b"[1.5, -1e999]", "Number too big to be stored in double. at offset: 6"),
        (b"[" * 5000 + b"1", "Terminate parsing due to Handler error. at offset: 201"),
        (b'[1, "a" 2]', "Missing a comma or ] after an array element. at offset: 8"),
    ],
)
def test_the_first_problem_of_a_large_text(data: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_MAX_EXAMINED", 0)
    with pytest.raises(InvalidArgumentError) as caught:
        parse_json(data)
    assert caught.value.message == f"JSON Parse error: {message}"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"[", b"["),
        (b"[" * 900, b'"a",'),
        (b'["\\ud83d\\ude00", ', b'"b",'),
        (b'["', b'\\"'),
        (b'["\\ud83d\\ude00", "', b'\\"'),
        (b"[1e999, ", b'"\\"'),
        (b"[", b'"\\ud83d",'),
    ],
)
def test_a_large_text_takes_time_linear_in_its_size(head: bytes, piece: bytes) -> None:
    """Four times the bytes take about four times as long; where it was quadratic, sixteen times."""

    def seconds(size: int) -> float:
        data = head + piece * (size // len(piece))
        started = time.thread_time()
        answer(data)
        return time.thread_time() - started

    small = 5 << 18  # beyond _MAX_EXAMINED
    assert seconds(4 * small) < 10 * seconds(small) + 0.05
