# SPDX-License-Identifier: Apache-2.0
"""Which of the model's own inputs and outputs a name means; pure."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.nest import fill, leaves, place
from tfs_deploy.export.signatures.pairing import Place, named_alone, pair

LIST = [Place((0, 0), "num"), Place((0, 1), "den"), Place((0, 2), "w")]
DICT = [Place((0, "a"), "a"), Place((0, "b"), "b"), Place((0, "c"), "c")]
NAMELESS = [Place((0, 0), "", ("inputs[0]",)), Place((0, 1), "", ("inputs[1]",))]
MIXED = [Place((0, "item", 0), "i0"), Place((0, "item", 1), "i1"), Place((0, "user", "id"), "user_id", ("uid",))]


@pytest.mark.parametrize("names", list(itertools.permutations(["num", "den", "w"])))
def test_own_names_count_wherever_they_stand(names):
    assert pair("s", "input", names, LIST) == {name: ["num", "den", "w"].index(name) for name in names}
    assert pair("s", "input", dict.fromkeys(names), LIST) == pair("s", "input", names, LIST)


@pytest.mark.parametrize(
    ("given", "places", "numbers"),
    [
        (["x", "y", "z"], LIST, {"x": 0, "y": 1, "z": 2}),  # other names, in the order of arguments or a list
        (["x", "y"], NAMELESS, {"x": 0, "y": 1}),
        (["w", "x", "num"], LIST, {"w": 2, "x": 1, "num": 0}),  # one name is left for one place
        (["num", "x", "y"], LIST, {"num": 0, "x": 1, "y": 2}),
        (["b", "a", "x"], DICT, {"b": 1, "a": 0, "x": 2}),
        ({"x": "c", "y": "a", "z": "b"}, DICT, {"x": 2, "y": 0, "z": 1}),  # as the dict says
        ({"num": "den", "den": "num", "w": None}, LIST, {"num": 1, "den": 0, "w": 2}),
        ({"second": "inputs[1]", "first": None}, NAMELESS, {"second": 1, "first": 0}),
        (["item0", "item1", "uid"], MIXED, {"item0": 0, "item1": 1, "uid": 2}),
    ],
)
def test_pairs(given, places, numbers):
    assert pair("s", "input", given, places) == numbers


@pytest.mark.parametrize(
    ("given", "places", "message"),
    [
        (["x", "y", "z"], DICT, "their order does not tell which is which"),  # a dict has no order
        (["den", "x", "y"], LIST, "their order does not tell"),  # den stands at another's place
        (["uid", "x", "y"], MIXED, "their order does not tell"),
        (["x"], LIST, "1 input names for a model that takes 3: num, den, w"),
        ({"x": ("float32", ()), "num": ("float32", ())}, LIST, "2 inputs for a model that takes 3"),
        ({"x": "nom", "den": None, "w": None}, LIST, "does not take 'nom'"),
        ({"x": "num", "num": "num", "w": None}, LIST, "one input has two names"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(given, places, message):
    with pytest.raises(UsageError, match=message) as caught:
        pair("s", "input", given, places)
    assert caught.value.hint


def test_the_hint_of_an_unclear_order_renames():
    with pytest.raises(UsageError) as caught:
        pair("s", "input", ["x", "y", "z"], DICT)
    assert "inputs={'x': 'a', 'y': 'b', 'z': 'c'}" in caught.value.hint


def test_inputs_without_names_are_to_be_named_in_order():
    with pytest.raises(UsageError, match=r"inputs have no names, only places: inputs\[0\], inputs\[1\]") as caught:
        named_alone("s", "input", NAMELESS)
    assert "-s 's(input1, input2)'" in caught.value.hint


NESTS: list[Any] = [{"b": [1, 2], "a": (3, {"y": 4, "x": 5})}, [1, [2, [3]]], (1, {"z": (2,), "k": []}), 7, {"a": {}}]


@pytest.mark.parametrize("nest", NESTS)
def test_nests_are_filled_in_the_order_of_their_leaves(nest):
    found = leaves(nest)
    assert fill(nest, iter([value for _, value in found])) == nest
    assert place(nest, dict(found)) == nest
    numbered = fill(nest, iter(range(len(found))))
    assert [value for _, value in leaves(numbered)] == list(range(len(found)))
    assert place(nest, {path: number for number, (path, _) in enumerate(found)}) == numbered
