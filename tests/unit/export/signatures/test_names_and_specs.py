# SPDX-License-Identifier: Apache-2.0
"""Names that are refused, and the forms of tensor specs; without TensorFlow."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.errors import UsageError
from tfs_deploy.export.evidence.tolerance import Tolerance
from tfs_deploy.export.signatures.arguments import pass_inputs
from tfs_deploy.export.signatures.names import check_name, check_traced_inputs, did_you_mean, is_generated
from tfs_deploy.export.signatures.selection import choose_names, choose_signature
from tfs_deploy.export.signatures.signature import Signature, as_signatures
from tfs_deploy.export.signatures.specs import as_spec, dtype_name_of, free_batch, shape_of
from tfs_deploy.protos.signatures import TensorSpec


@pytest.mark.parametrize(
    "name", ["output_0", "output_12", "keras_tensor", "keras_tensor_3", "input_layer", "args_0", "Identity:0"]
)
def test_made_up_names_are_refused_with_the_way_to_name_them(name):
    assert is_generated(name)
    for role in ("input", "output"):
        with pytest.raises(UsageError, match="TensorFlow generates") as caught:
            check_name("serving_default", role, name)
        assert f"{role}s=" in caught.value.hint


@pytest.mark.parametrize("name", ["output", "outputs", "output_prob", "label", "x_0", "args", "keras", "input_1_ids"])
def test_given_names_pass(name):
    assert not is_generated(name)
    assert check_name("serving_default", "output", name) == name


@pytest.mark.parametrize(
    ("name", "better"), [("a b", "a_b"), ("x:y", "x_y"), ("_x", "x"), ("class", "class_"), ("self", "self_")]
)
def test_input_names_that_tensorflow_would_rewrite(name, better):
    with pytest.raises(UsageError) as caught:
        check_traced_inputs("s", [name])
    assert repr(better) in caught.value.hint
    assert check_traced_inputs("s", [better]) == {better: better}


def test_input_names_that_tensorflow_keeps():
    names = {"capital-gain": "capital_gain", "user.id": "user_id", "x/y": "x_y", "2d": "arg_2d", "plain": "plain"}
    assert check_traced_inputs("s", names) == names
    with pytest.raises(UsageError, match=r"'a-b' and 'a\.b' are one name for TensorFlow \(a_b\)"):
        check_traced_inputs("s", ["a-b", "a.b"])


@pytest.mark.parametrize("name", ["", None, 3])
def test_names_that_are_none(name):
    with pytest.raises(UsageError, match="non-empty string"):
        check_name("s", "output", name)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("float32", "float32"),
        (np.float32, "float32"),
        (np.dtype("int64"), "int64"),
        (str, "string"),
        (bytes, "string"),
        ("str", "string"),
        (np.dtype("O"), "string"),
        (np.dtype("S3"), "string"),
        (np.dtype("U3"), "string"),
        (bool, "bool"),
        (SimpleNamespace(name="float32_ref"), "float32"),
    ],
)
def test_dtypes(dtype, name):
    assert dtype_name_of(dtype) == name


@pytest.mark.parametrize(
    ("dtype", "hint"), [("float31", "float32"), (float, "float"), (3, "float32"), ("resource", "")]
)
def test_dtypes_that_are_none(dtype, hint):
    with pytest.raises(UsageError) as caught:
        dtype_name_of(dtype)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (("float32", (None, 8)), (None, 8)),
        (((None, 8), "float32"), (None, 8)),
        (["float32", [-1, 8]], (None, 8)),
        ((None, "float32"), None),
        (("float32", None), None),
        (("float32", ()), ()),
        (TensorSpec("other", "float32", (2,)), (2,)),
        (SimpleNamespace(dtype="float32", shape=(None, 3)), (None, 3)),
        (SimpleNamespace(dtype="float32", shape=None, ndim=3), (None, None, None)),
        (SimpleNamespace(dtype="float32", shape=SimpleNamespace(rank=None)), None),
    ],
)
def test_specs(value, expected):
    assert as_spec("x", value) == TensorSpec("x", "float32", expected)


@pytest.mark.parametrize(
    "value",
    [
        "float32",
        ("float32",),
        ("float32", 8),
        ("float32", (None, "8")),
        ("float32", (None, -2)),
        ("float32", (True,)),
        np.zeros((2, 3)),
        SimpleNamespace(dtype=None, shape=(3,)),
        None,
        type("RaggedTensorSpec", (), {"dtype": "float32", "shape": (None,)})(),
    ],
)
def test_specs_that_are_none(value):
    with pytest.raises(UsageError) as caught:
        as_spec("x", value)
    assert caught.value.hint


@given(st.lists(st.one_of(st.none(), st.integers(0, 100)), max_size=5))
def test_shapes_stay_what_they_are(sizes):
    assert shape_of(sizes) == tuple(sizes)
    freed = free_batch(TensorSpec("x", "float32", tuple(sizes)))
    assert freed.shape == ((None, *sizes[1:]) if sizes else ())


def test_signature_arguments_are_checked():
    assert Signature(outputs="y").outputs == ("y",)
    with pytest.raises(UsageError, match="unknown signature method 'predct'") as caught:
        Signature(method="predct")
    assert "predict" in caught.value.hint
    with pytest.raises(UsageError, match="inputs of a Signature must be a dict or a sequence"):
        Signature(inputs=3)


def test_signature_maps():
    made = as_signatures({"a": len, "b": "method", "c": Signature(outputs="y")})
    assert [made["a"].function, made["b"].function, made["c"].outputs] == [len, "method", ("y",)]
    assert list(as_signatures(Signature())) == ["serving_default"]
    for wrong in ({}, None, [], {"": len}, {3: len}, {"a": 3}, {"__saved_model_init_op": len}):
        with pytest.raises(UsageError):
            as_signatures(wrong)


def positional(a, b):
    return ("positional", a, b)


def keywords(*, x, y):
    return ("keywords", x, y)


def defaults(x, scale=2):
    return ("defaults", x, scale)


def anything(*args, **kwargs):
    return (args, kwargs)


def one_dict(features):
    return features


def masked(inputs, mask=None):
    return (inputs, mask)


@pytest.mark.parametrize(
    ("function", "inputs", "result"),
    [
        (positional, {"b": 1, "a": 2}, ("positional", 2, 1)),  # by name
        (positional, {"x": 1, "y": 2}, ("positional", 1, 2)),  # in order
        (keywords, {"y": 1, "x": 2}, ("keywords", 2, 1)),
        (defaults, {"x": 1}, ("defaults", 1, 2)),
        (defaults, {"x": 1, "scale": 5}, ("defaults", 1, 5)),
        (defaults, {"image": 1}, ("defaults", 1, 2)),
        (anything, {"x": 1, "y": 2}, ((), {"x": 1, "y": 2})),
        (one_dict, {"x": 1, "y": 2}, {"x": 1, "y": 2}),
        (one_dict, {"features": 1}, 1),
        (masked, {"x": 1, "y": 2}, ({"x": 1, "y": 2}, None)),  # y is not the mask
        (masked, {"mask": 1, "inputs": 2}, (2, 1)),
        (lambda a, b=None, *rest: (a, b), {"x": 1, "y": 2}, ({"x": 1, "y": 2}, None)),
        (lambda x, *rest: (x, rest), {"a": 1, "b": 2}, (1, (2,))),
        (lambda *values: values, {"x": 1, "y": 2}, (1, 2)),
        (max, {"x": [3, 4]}, 4),
    ],
)
def test_inputs_reach_parameters(function, inputs, result):
    assert pass_inputs("s", function, list(inputs))(inputs) == result


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (masked, ["inputs", "weight"]),
        (lambda a=1, b=2: a, ["x", "y"]),
        (positional, ["a", "x"]),
        (positional, ["x"]),
        (keywords, ["x"]),
        (keywords, ["a", "b"]),
        (lambda: 1, ["x"]),
    ],
)
def test_inputs_that_reach_no_parameter(function, names):
    with pytest.raises(UsageError, match="the function takes"):
        pass_inputs("s", function, names)


@pytest.mark.parametrize(
    ("role", "given_names", "known", "chosen"),
    [
        ("input", None, ["a", "b"], {"a": "a", "b": "b"}),
        ("input", ("x",), ["a"], {"x": "a"}),
        ("input", {"x": "a", "b": None}, ["a", "b"], {"x": "a", "b": "b"}),
        ("output", ("b",), ["a", "b"], {"b": "b"}),
        ("output", {"label": "a"}, ["a", "b"], {"label": "a"}),
    ],
)
def test_choosing_names(role, given_names, known, chosen):
    assert choose_names("s", role, given_names, known) == chosen


@pytest.mark.parametrize(
    ("role", "given_names", "message"),
    [
        ("input", ("a",), "also takes 'b'"),
        ("input", {"x": "c", "b": "b"}, "no input 'c'"),
        ("input", ("x", "y"), "no input 'x'"),
        ("output", {"x": "a", "y": "a"}, "has two names"),
        ("output", {"output_0": "a"}, "TensorFlow generates"),
    ],
)
def test_names_that_cannot_be_chosen(role, given_names, message):
    with pytest.raises(UsageError, match=message):
        choose_names("s", role, given_names, ["a", "b"])


def test_choosing_signatures():
    assert choose_signature("new", Signature("old"), ["old", "serving_default"]) == "old"
    assert choose_signature("old", Signature(), ["old", "serving_default"]) == "old"
    assert choose_signature("new", Signature(), ["old", "serving_default"]) == "serving_default"
    assert choose_signature("new", Signature(), ["old"]) == "old"
    with pytest.raises(UsageError, match="does not name"):
        choose_signature("new", Signature(), ["a", "b"])
    with pytest.raises(UsageError) as caught:
        choose_signature("new", Signature("olf"), ["old", "other"])
    assert "'old'" in caught.value.hint


def test_tolerances():
    assert Tolerance(1e-3, {"label": 0.5}).of("label") == (1e-3, 0.5)
    assert Tolerance({"label": 0}, 1e-6).of("other") == (1e-4, 1e-6)
    with pytest.raises(UsageError, match="unknown output 'lable'") as caught:
        Tolerance({"lable": 1.0}).check_outputs({"label"})
    assert "label" in caught.value.hint
    for wrong in (-1.0, "much", {"a": -1.0}):
        with pytest.raises(UsageError):
            Tolerance(wrong)


def test_hints_name_the_nearest_or_some():
    assert did_you_mean("imag", ["image", "label"]) == "did you mean 'image'?"
    assert did_you_mean("zzz", ["image", "label"]) == "known: image, label"
    assert did_you_mean("zzz", []) == "there are none"
    assert did_you_mean("zzz", [f"name_{n:03}" for n in range(500)]).endswith("...")
