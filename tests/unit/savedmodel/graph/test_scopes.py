# SPDX-License-Identifier: Apache-2.0
"""What a signature reaches."""

from __future__ import annotations

import pytest

from tfs_deploy.savedmodel import inspect_model

X = {"x": ("float32", (None,))}


def ops(info, signature: str = "serving_default") -> set[str]:
    return {op for scope in info.reached_by(signature) for op in scope.ops}


def test_only_what_the_outputs_need_is_reached(write_model) -> None:
    info = inspect_model(
        write_model(
            nodes=[
                ("x", "Placeholder"),
                ("logged", "Relu", ["x"]),
                ("y", "Exp", ["x", "^logged"]),
                ("save", "SaveV2", ["y"]),
            ],
            signatures={"serving_default": (X, {"y": ("float32", (None,))})},
        )
    )
    assert ops(info) == {"Exp", "Relu"}
    assert info.ops["SaveV2"] == 1


def test_inputs_stand_for_what_computes_them(write_model) -> None:
    info = inspect_model(
        write_model(
            nodes=[
                ("examples", "Placeholder"),
                ("parsed", "ParseExampleV2", ["examples"]),
                ("y", "Exp", ["parsed:1"]),
            ],
            signatures={
                "features": ({"x": ("float32", (None,), "parsed:1")}, {"y": ("float32", (None,))}),
                "examples": ({"x": ("string", (None,), "examples:0")}, {"y": ("float32", (None,))}),
            },
        )
    )
    assert ops(info, "features") == {"Exp"}
    assert ops(info, "examples") == {"Exp", "ParseExampleV2"}


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("StatefulPartitionedCall", {"f": ("func", "body")}),
        ("Case", {"branches": ("funcs", "other", "body")}),
        ("MapDataset", {"f": ("func", "body")}),
        ("SomeCustomLoop", {"whatever": ("func", "body")}),
        ("body", {}),
    ],
)
def test_calls_are_followed(write_model, op: str, attributes) -> None:
    info = inspect_model(
        write_model(
            nodes=[("x", "Placeholder"), ("y", op, ["x"], attributes)],
            functions={
                "body": [("a", "PartitionedCall", [], {"f": ("func", "inner")})],
                "inner": [("b", "Sin"), ("again", "PartitionedCall", [], {"f": ("func", "body")})],
                "other": [],
                "train_step": [("c", "ResourceApplyAdam")],
            },
        )
    )
    assert "Sin" in ops(info)
    assert "ResourceApplyAdam" not in ops(info)


def test_loops_in_the_graph_end(write_model) -> None:
    info = inspect_model(
        write_model(
            nodes=[
                ("x", "Placeholder"),
                ("m", "Merge", ["x", "n"]),
                ("n", "NextIteration", ["m"]),
                ("y", "Exit", ["m"]),
            ]
        )
    )
    assert ops(info) == {"Exit", "Merge", "NextIteration"}


def test_what_loading_runs(write_model) -> None:
    info = inspect_model(
        write_model(
            nodes=[("x", "Placeholder"), ("y", "Exp", ["x"]), ("fill", "InitializeTableFromTextFileV2")],
            signatures={
                "serving_default": (X, {"y": ("float32", (None,))}),
                "__saved_model_init_op": ({}, {"__saved_model_init_op": ("int32", None, "fill")}),
            },
        )
    )
    assert list(info.signatures) == ["serving_default"]
    assert {op for scope in info.reached_at_load for op in scope.ops} == {"InitializeTableFromTextFileV2"}


def test_features_of_a_tf1_parser(models) -> None:
    info = inspect_model(models / "saved_model_half_plus_two_cpu")
    found = [(f.name, f.dtype, f.shape, f.required) for f in info.features("classify_x_to_y")]
    # x: FixedLenFeature([1]), x2: FixedLenFeature([1], default_value=[0.0])
    assert found == [("x", "float32", (1,), True), ("x2", "float32", (1,), False)]
    assert info.features("serving_default") == []


def test_features_of_a_tf2_parser(models) -> None:
    info = inspect_model(models / "zoo")
    assert [(f.name, f.dtype, f.shape, f.required) for f in info.features("classify")] == [("x", "float32", (), False)]
