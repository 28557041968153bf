# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs are bound by name: orders, nests, optional arguments; and the check of examples sees a swap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.export.calls.own_call import OwnCall
from tfs_deploy.export.signatures.signature import as_signatures
from tfs_deploy.export.sources.kinds import open_source

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
layers = keras.layers
pytestmark = pytest.mark.tensorflow

COLUMN = ("float32", (None, 1))
SIX, TWO = np.float32([[6.0]]), np.float32([[2.0]])


def answers(source: Any, inputs: dict[str, Any], signature: Any = None, **dtypes: str) -> dict[str, Any]:
    """Return what the traced function of a source answers, after the original has answered the same."""
    signatures = None if signature is None else as_signatures(signature)
    opened = open_source(source, None, signatures, ["serve"], {"serving_default": dtypes})
    original = opened.run("serving_default", inputs)
    concrete = opened._concrete["serving_default"]  # type: ignore[attr-defined]
    order = [name.partition(":")[0] for name in opened.inputs("serving_default") or ()]
    traced = {name: value.numpy() for name, value in concrete(*(tf.constant(inputs[name]) for name in order)).items()}
    assert traced.keys() == original.keys()
    for name, value in original.items():
        np.testing.assert_allclose(traced[name], value)
    return {name: value.tolist() for name, value in traced.items()}


def ratio(*, as_dict: bool = False) -> Any:
    num, den = keras.Input((1,), name="num"), keras.Input((1,), name="den")
    inputs = {"num": num, "den": den} if as_dict else [num, den]
    return keras.Model(inputs, keras.ops.divide(num, den))


@pytest.mark.parametrize("inputs", [["den", "num"], ["num", "den"], {"den": COLUMN, "num": COLUMN}, None])
@pytest.mark.parametrize("as_dict", [True, False])
def test_a_functional_model_by_its_own_names(inputs, as_dict):
    signature = td.Signature(inputs=inputs, outputs="r")
    assert answers(ratio(as_dict=as_dict), {"num": SIX, "den": TWO}, signature) == {"r": [[3.0]]}


def test_a_functional_model_under_other_names():
    assert answers(ratio(), {"a": SIX, "b": TWO}, td.Signature(inputs=["a", "b"], outputs="r")) == {"r": [[3.0]]}
    renamed = td.Signature(inputs={"b": "den", "a": "num"}, outputs="r")
    assert answers(ratio(as_dict=True), {"a": SIX, "b": TWO}, renamed) == {"r": [[3.0]]}
    with pytest.raises(UsageError, match="their order does not tell which is which") as caught:
        answers(ratio(as_dict=True), {"a": SIX, "b": TWO}, td.Signature(inputs=["a", "b"], outputs="r"))
    assert "'a': 'den', 'b': 'num'" in caught.value.hint


def two_outputs(*, as_dict: bool) -> Any:
    x = keras.Input((1,), name="x")
    one = layers.Rescaling(1.0, name="one")(x)
    two = layers.Rescaling(2.0, name="two")(x)
    return keras.Model(x, {"one": one, "two": two} if as_dict else [one, two])


@pytest.mark.parametrize("as_dict", [True, False])
@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (["two", "one"], {"two": [[12.0]], "one": [[6.0]]}),
        ({"two": COLUMN, "one": COLUMN}, {"two": [[12.0]], "one": [[6.0]]}),
        ({"two": "two"}, {"two": [[12.0]]}),
        (["two"], {"two": [[12.0]]}),
        ({"a": "two", "b": "one"}, {"a": [[12.0]], "b": [[6.0]]}),
        (None, {"one": [[6.0]], "two": [[12.0]]}),
    ],
)
def test_outputs_by_their_own_names(as_dict, outputs, expected):
    assert answers(two_outputs(as_dict=as_dict), {"x": SIX}, td.Signature(outputs=outputs)) == expected


def test_outputs_in_order():
    model = two_outputs(as_dict=False)
    assert answers(model, {"x": SIX}, td.Signature(outputs=["a", "b"])) == {"a": [[6.0]], "b": [[12.0]]}
    assert answers(model, {"x": SIX}, td.Signature(outputs={"b": 1})) == {"b": [[12.0]]}
    # One name is left for one result.
    assert answers(model, {"x": SIX}, td.Signature(outputs=["two", "a"])) == {"a": [[6.0]], "two": [[12.0]]}
    with pytest.raises(UsageError, match="1 output name for 2 results"):
        answers(model, {"x": SIX}, td.Signature(outputs=["a"]))


def test_results_of_functions_by_their_own_names():
    def top(row: Any) -> Any:
        return tf.math.top_k(row, 2)

    inputs, row = {"row": ("float32", (None, 3))}, np.float32([[5.0, 7.0, 6.0]])
    for outputs in (["indices", "values"], ["indices", "scores"], {"indices": ("int32", (None, 2)), "values": 0}):
        found = answers(tf.Module(), {"row": row}, td.Signature(top, inputs=inputs, outputs=outputs))
        assert found["indices"] == [[1, 2]]
    with pytest.raises(UsageError, match="is result 0, but the function returns a dict"):
        answers(tf.Module(), {"row": row}, td.Signature(lambda row: {"y": row}, inputs=inputs, outputs={"y": 0}))
    with pytest.raises(UsageError, match="'y' is a list, not a tensor"):
        answers(tf.Module(), {"row": row}, td.Signature(lambda row: {"y": [row, row]}, inputs=inputs))


class Ratio(keras.Model):
    def call(self, num: Any, den: Any) -> Any:
        return {"r": num / den}


class Masked(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.supports_masking = True

    def call(self, x: Any, mask: Any = None) -> Any:
        return {"s": tf.reduce_sum(x if mask is None else x * mask, -1)}


class OfList(keras.Model):
    """Adds up what it gets: also one tensor alone."""

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        return {"r": inputs[0] / inputs[1] if isinstance(inputs, (list, tuple)) else inputs * 1.0}


class Unpacking(keras.Model):
    def call(self, pair: Any) -> Any:
        num, den = pair
        return {"r": num / den}


class OfDict(keras.Model):
    def call(self, features: Any, mask: Any = None) -> Any:
        return {"r": features["num"] / features["den"]}


class KeywordOnly(keras.Model):
    def call(self, num: Any, *, den: Any, scale: float = 1.0) -> Any:
        return {"r": num / den * scale}


SPECS = {"den": COLUMN, "num": COLUMN}


@pytest.mark.parametrize("model", [Ratio, OfDict, KeywordOnly])
@pytest.mark.parametrize("called", [True, False])
def test_a_subclassed_model_by_parameters_or_keys(model, called):
    made = model()
    if called and model is OfDict:
        made({"den": TWO, "num": SIX})
    elif called:
        made(SIX, den=TWO)
    assert answers(made, {"num": SIX, "den": TWO}, td.Signature(inputs=SPECS)) == {"r": [[3.0]]}


@pytest.mark.parametrize("model", [OfList, Unpacking])
@pytest.mark.parametrize("called", [list, tuple, None])
def test_a_subclassed_model_that_takes_a_list(model, called):
    made = model()
    specs = {"num": COLUMN, "den": COLUMN}
    if called is not None:
        made(called([SIX, TWO]))
        by_name = td.Signature(inputs=["num", "den"])
        assert answers(made, {"num": SIX, "den": TWO}, by_name) == {"r": [[3.0]]}
        with pytest.raises(UsageError, match="inputs have no names, only places"):
            answers(made, {})
    assert answers(made, {"num": SIX, "den": TWO}, td.Signature(inputs=specs)) == {"r": [[3.0]]}


def test_an_optional_argument_is_reached_by_its_name_alone():
    other = {"x": ("float32", (None, 2)), "weight": ("float32", (None, 2))}
    x, zero = np.float32([[1.0, 2.0]]), np.zeros((1, 2), np.float32)
    for called in (False, True):
        model = Masked()
        if called:
            model(x)
            assert answers(model, {"x": x}, x="float32") == {"s": [3.0]}
        with pytest.raises(UsageError, match=r"weight|2 inputs for a model"):
            answers(model, {"x": x, "weight": zero}, td.Signature(inputs=other))
        by_name = td.Signature(inputs={"mask": other["x"], "x": other["x"]})
        assert answers(model, {"x": x, "mask": zero}, by_name) == {"s": [0.0]}


def test_neither_a_dict_nor_a_list():
    class Odd(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs.nothing

    with pytest.raises(UsageError, match="takes neither a dict nor a list of den, num") as caught:
        answers(Odd(), {}, td.Signature(inputs=SPECS))
    assert "call the model once" in caught.value.hint


def test_keys_that_are_unpacked_are_not_the_inputs():
    class Lengths(keras.Model):
        def call(self, inputs: Any) -> Any:
            first, second = inputs  # of a dict: its keys
            return {"n": tf.strings.length(first) + tf.strings.length(second)}

    specs = {"a": ("string", (None,)), "bcd": ("string", (None,))}
    words = {"a": np.array([b"xx"], object), "bcd": np.array([b"yyy"], object)}
    assert answers(Lengths(), words, td.Signature(inputs=specs)) == {"n": [5]}


def test_nested_inputs_have_names_of_their_own():
    user = {"id": keras.Input((1,), name="uid")}
    items = [keras.Input((1,), name="i0"), keras.Input((1,), name="i1")]
    model = keras.Model({"user": user, "item": items}, user["id"] + 10 * items[0] + 100 * items[1])
    one, two, three = (np.float32([[float(n)]]) for n in (1, 2, 3))
    own = {"user_id": one, "i0": two, "i1": three}
    assert answers(model, own, td.Signature(outputs="y")) == {"y": [[321.0]]}
    named = td.Signature(inputs=["i1", "uid", "i0"], outputs="y")
    assert answers(model, {"uid": one, "i0": two, "i1": three}, named) == {"y": [[321.0]]}
    others = td.Signature(inputs=["first", "second", "uid"], outputs="y")
    assert answers(model, {"uid": one, "first": two, "second": three}, others) == {"y": [[321.0]]}


def test_nested_outputs_have_names_of_their_own():
    x = keras.Input((1,), name="x")
    parts = [layers.Rescaling(float(n), name=f"times{n}")(x) for n in range(3)]
    model = keras.Model(x, {"b": parts[0], "a": parts[1:]})
    assert answers(model, {"x": TWO}) == {"b": [[0.0]], "times1": [[2.0]], "times2": [[4.0]]}
    chosen = td.Signature(outputs={"z": "times2", "b": "b"})
    assert answers(model, {"x": TWO}, chosen) == {"z": [[4.0]], "b": [[0.0]]}


def test_a_graph_whose_call_returns_something_else_has_the_names_of_what_it_returns():
    class Scaled(keras.Model):
        def call(self, inputs: Any) -> Any:
            one, two = super().call(inputs)
            return {"two": two, "half": one / 2}

    graph = two_outputs(as_dict=False)
    model = Scaled(graph.inputs, graph.outputs)
    assert answers(model, {"x": SIX}) == {"two": [[12.0]], "half": [[3.0]]}


def test_the_check_finds_inputs_in_each_others_place(tmp_path, monkeypatch):
    pack = OwnCall.pack
    monkeypatch.setattr(OwnCall, "pack", lambda own, values: pack(own, list(reversed(values))))
    with pytest.raises(VerdictError, match="not the original"):
        td.export_model(
            ratio(),
            tmp_path / "m",
            signatures=td.Signature(outputs="r"),
            examples={"serving_default": {"num": SIX, "den": TWO}},
        )
    assert not (tmp_path / "m").exists() or not list(Path(tmp_path / "m").glob("[0-9]*"))
