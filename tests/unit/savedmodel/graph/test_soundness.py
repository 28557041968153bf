# SPDX-License-Identifier: Apache-2.0
"""Graphs that parse and are nonsense, over which TensorFlow's loader would end the process."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tfs_deploy import protos
from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel import inspect_model


def nameless_in_a_function(graph: Any) -> None:
    graph.library.function[0].node_def[0].name = ""


def nameless(graph: Any) -> None:
    graph.node[0].name = ""


def constant(graph: Any) -> Any:
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return next(node for node in nodes if node.op == "Const")


def no_such_type(graph: Any) -> None:
    node = constant(graph)
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = 99


def another_type_than_its_value(graph: Any) -> None:
    constant(graph).attr["dtype"].type = 21


def passing_on_nothing(graph: Any) -> None:
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    del next(node for node in nodes if node.op == "Identity").input[:]


def endless_outputs(graph: Any) -> None:
    graph.node.add(name="parse", op="ParseExample").attr["Ndense"].i = 2**31 - 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (nameless, "has no name"),
        (nameless_in_a_function, "has no name"),
        (passing_on_nothing, "passes on a value that it does not get"),
        (endless_outputs, "has 2147483647 inputs or outputs (Ndense)"),
        (no_such_type, "is of type 99, which does not exist"),
        (another_type_than_its_value, "is of type 21, its value of type"),
    ],
)
def test_nonsense_is_damage(models: Path, tmp_path: Path, spoil: Any, message: str) -> None:
    folder = Path(shutil.copytree(models / "saved_model_half_plus_two_tf2_cpu" / "00000123", tmp_path / "1"))
    file = folder / "saved_model.pb"
    saved = protos.SavedModel.FromString(file.read_bytes())
    spoil(saved.meta_graphs[0].graph_def)
    file.write_bytes(saved.SerializeToString())
    with pytest.raises(ModelError, match=f"{file} is damaged") as caught:
        inspect_model(folder)
    assert message in caught.value.message
    assert caught.value.hint


def test_every_model_here_is_sound(models: Path) -> None:
    files = sorted(models.rglob("saved_model.pb"))
    assert len(files) > 5
    for file in files:
        if "bad" not in str(file):
            assert inspect_model(file.parent).ops
