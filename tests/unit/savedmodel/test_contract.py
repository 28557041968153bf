# SPDX-License-Identifier: Apache-2.0
"""What breaks clients between two versions, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.protos.signatures import CLASSIFY_METHOD, PREDICT_METHOD
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.contract import Compatibility, contract_changes, covers, describe_diff, diff_models

F = "float32"


def signature(inputs=None, outputs=None, method=PREDICT_METHOD, defaults=()):
    return {"s": (inputs or {"x": (F, (None, 2))}, outputs or {"y": (F, (None,))}, method, defaults)}


def changes(write_model, old, new):
    before = inspect_model(write_model("1", signatures=old)).signatures
    after = inspect_model(write_model("2", signatures=new)).signatures
    return [(c.compatibility.value, c.signature, c.tensor, c.message) for c in contract_changes(before, after)]


BREAKING, ADDITION, COMPATIBLE = (kind.value for kind in (*reversed(Compatibility),))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (signature(), signature(), []),
        (signature(), {}, [(BREAKING, "s", "", "the signature is gone")]),
        (
            signature(),
            {**signature(), "more": signature()["s"]},
            [(ADDITION, "more", "", "the signature is new")],
        ),
        (
            signature(),
            signature(method=CLASSIFY_METHOD),
            [(BREAKING, "s", "", f"its method is '{CLASSIFY_METHOD}' instead of '{PREDICT_METHOD}'")],
        ),
        # inputs
        (
            signature(),
            signature({"x": (F, (None, 2)), "z": ("int64", (None,))}),
            [(BREAKING, "s", "input 'z'", "it is new and required: int64 [?]")],
        ),
        (
            signature(),
            signature({"x": (F, (None, 2)), "z": ("int64", (None,))}, defaults=["z"]),
            [(ADDITION, "s", "input 'z'", "it is new and optional: int64 [?]")],
        ),
        (
            signature({"x": (F, (None, 2)), "z": (F, ())}),
            signature(),
            [(BREAKING, "s", "input 'z'", "it is gone")],
        ),
        (
            signature(),
            signature({"image": (F, (None, 2))}),
            [
                (BREAKING, "s", "input 'image'", "it is new and required: float32 [?, 2]"),
                (BREAKING, "s", "input 'x'", "it is gone (renamed to 'image'?)"),
            ],
        ),
        (
            signature(),
            signature({"x": ("float64", (None, 2))}),
            [(BREAKING, "s", "input 'x'", "its dtype is float64 instead of float32")],
        ),
        (
            signature(),
            signature({"x": (F, (1, 2))}),
            [(BREAKING, "s", "input 'x'", "its shape is narrower, from float32 [?, 2] to float32 [1, 2]")],
        ),
        (
            signature(),
            signature({"x": (F, (None, 3))}),
            [(BREAKING, "s", "input 'x'", "its shape is another, from float32 [?, 2] to float32 [?, 3]")],
        ),
        (
            signature(),
            signature({"x": (F, (None, None))}),
            [(ADDITION, "s", "input 'x'", "its shape is wider, from float32 [?, 2] to float32 [?, ?]")],
        ),
        (
            signature(),
            signature({"x": (F, None)}),
            [(ADDITION, "s", "input 'x'", "its shape is wider, from float32 [?, 2] to float32 [...]")],
        ),
        (
            signature(defaults=["x"]),
            signature(),
            [(BREAKING, "s", "input 'x'", "it is required, and was optional")],
        ),
        (
            signature(),
            signature(defaults=["x"]),
            [(ADDITION, "s", "input 'x'", "it is optional, and was required")],
        ),
        # outputs
        (
            signature(),
            signature(outputs={"y": (F, (None,)), "z": (F, (None,))}),
            [(ADDITION, "s", "output 'z'", "it is new: float32 [?]; REST replies now name their outputs")],
        ),
        (
            signature(outputs={"y": (F, (None,)), "z": (F, (None, 3))}),
            signature(),
            [(BREAKING, "s", "output 'z'", "it is gone")],
        ),
        (
            signature(outputs={"output_0": (F, (None, 3))}),
            signature(outputs={"scores": (F, (None, 3))}),
            [
                (BREAKING, "s", "output 'output_0'", "it is gone (renamed to 'scores'?)"),
                (ADDITION, "s", "output 'scores'", "it is new: float32 [?, 3]; REST replies now name their outputs"),
            ],
        ),
        (
            signature(outputs={"y": (F, (None,))}),
            signature(outputs={"y": ("float16", (None,))}),
            [(BREAKING, "s", "output 'y'", "its dtype is float16 instead of float32")],
        ),
        (
            signature(outputs={"y": (F, (None, None))}),
            signature(outputs={"y": (F, (None, 10))}),
            [(COMPATIBLE, "s", "output 'y'", "its shape is narrower, from float32 [?, ?] to float32 [?, 10]")],
        ),
        (
            signature(outputs={"y": (F, (None, 10))}),
            signature(outputs={"y": (F, (1, 10))}),
            [(BREAKING, "s", "output 'y'", "its shape is narrower, from float32 [?, 10] to float32 [1, 10]")],
        ),
        (
            signature(outputs={"y": (F, (None, 10))}),
            signature(outputs={"y": (F, None)}),
            [(BREAKING, "s", "output 'y'", "its shape is wider, from float32 [?, 10] to float32 [...]")],
        ),
        (
            signature(outputs={"y": (F, (None, 10))}),
            signature(outputs={"y": (F, (None, 11))}),
            [(BREAKING, "s", "output 'y'", "its shape is another, from float32 [?, 10] to float32 [?, 11]")],
        ),
    ],
)
def test_changes(write_model, old, new, expected) -> None:
    assert changes(write_model, old, new) == expected


SHAPES = st.none() | st.lists(st.none() | st.integers(0, 3), max_size=3).map(tuple)


@given(SHAPES, SHAPES, SHAPES)
def test_covering_is_an_order(a, b, c) -> None:
    assert covers(a, a)
    if covers(a, b) and covers(b, a):
        assert a == b
    if covers(a, b) and covers(b, c):
        assert covers(a, c)


@given(SHAPES, SHAPES, st.lists(st.integers(0, 3), max_size=3).map(tuple))
def test_covering_means_what_it_says(wide, narrow, shape) -> None:
    if covers(wide, narrow) and covers(narrow, shape):
        assert covers(wide, shape)


def parser(*features, tf2: bool = True):
    """Nodes that parse dense float features; ``(name, dtype, has_default)``."""
    names = [name.encode() for name, _, _ in features]
    nodes = [
        ("x", "Placeholder"),
        ("keys", "Const", [], {"dtype": ("type", "string"), "value": names}),
        ("none", "Const", [], {"dtype": ("type", "string"), "value": []}),
        ("y", "ParseExampleV2", ["x", "none", "none", "keys", "none", *(f"default_{n}" for n, _, _ in features)]),
    ]
    return nodes, features


def write_parser(write_model, version, *features):
    from tfs_deploy import protos
    from tfs_deploy.protos.signatures import DTYPE_NUMBERS

    nodes, _ = parser(*features)
    folder = write_model(version, nodes=nodes, signatures=signature({"x": ("string", (None,))}))
    model = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    parse = next(node for node in graph.node if node.op == "ParseExampleV2")
    for name, dtype, has_default in features:
        parse.attr["Tdense"].list.type.append(DTYPE_NUMBERS[dtype])
        parse.attr["dense_shapes"].list.shape.add()
        default = graph.node.add(name=f"default_{name}", op="Const")
        default.attr["value"].tensor.tensor_shape.dim.add(size=1 if has_default else 0)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return inspect_model(folder)


def test_features_of_examples_are_part_of_the_contract(write_model) -> None:
    old = write_parser(write_model, "1", ("age", F, False), ("old", F, False), ("town", "string", True))
    new = write_parser(
        write_model, "2", ("age", "int64", False), ("town", "string", False), ("must", F, False), ("may", F, True)
    )
    assert [(f.name, f.required) for f in new.features("s")] == [
        ("age", True),
        ("may", False),
        ("must", True),
        ("town", True),
    ]
    found = {c.tensor: (c.compatibility.value, c.message) for c in diff_models(old, new).changes}
    assert found == {
        "feature 'age'": (BREAKING, "its dtype is int64 instead of float32"),
        "feature 'may'": (ADDITION, "it is new and optional"),
        "feature 'must'": (BREAKING, "it is new and required"),
        "feature 'old'": (COMPATIBLE, "it is no longer read"),
        "feature 'town'": (BREAKING, "it is required, and was optional"),
    }


def test_the_verdict_is_the_worst_change(write_model) -> None:
    old = inspect_model(write_model("1", signatures=signature()))
    wider = inspect_model(write_model("2", signatures=signature({"x": (F, None)})))
    gone = inspect_model(write_model("3", signatures={"other": signature()["s"]}))
    assert diff_models(old, old).verdict is Compatibility.COMPATIBLE
    assert diff_models(old, wider).verdict is Compatibility.ADDITION
    assert diff_models(old, gone).verdict is Compatibility.BREAKING
    assert [c.signature for c in diff_models(old, gone).breaking] == ["s"]


def test_ops_and_weights_are_counted(write_model, models) -> None:
    old = inspect_model(write_model("1", nodes=[("x", "Placeholder"), ("y", "Relu", ["x"])], signatures=signature()))
    new = inspect_model(write_model("2", nodes=[("x", "Placeholder"), ("y", "MyOp", ["x"])], signatures=signature()))
    document = describe_diff(diff_models(old, new))
    assert document["ops"] == {"MyOp": 1, "Relu": -1}
    assert document["new_custom_ops"] == ["MyOp"]
    assert document["unchanged"] == ["s"]
    weights = describe_diff(diff_models(old, inspect_model(models / "saved_model_half_plus_two_cpu")))
    assert weights["variables"] == {"old": 0, "new": 5}
    assert weights["variable_bytes"] == {"old": 0, "new": 20}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            ("serve",),
            ("serve", "tpu"),
            [
                (
                    BREAKING,
                    "tag set 'serve'",
                    "it is gone (there: serve,tpu), so a server with these --saved_model_tags cannot load the model",
                ),
                (ADDITION, "tag set 'serve,tpu'", "it is new"),
            ],
        ),
        (("serve", "gpu"), ("gpu", "serve"), []),
    ],
)
def test_tag_sets(write_model, old, new, expected) -> None:
    diff = diff_models(inspect_model(write_model("1", tags=old)), inspect_model(write_model("2", tags=new)))
    assert [(c.compatibility.value, c.where, c.message) for c in diff.changes] == expected
    assert bool(diff.breaking) == bool(expected)
