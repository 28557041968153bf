# SPDX-License-Identifier: Apache-2.0
"""The list of stock ops, and the ops that are known for trouble."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfs_deploy.savedmodel.graph import ops
from tfs_deploy.savedmodel.graph.unsafe_ops import HOST_OPS, LOADER_OPS, PATH_ATTRIBUTES, UNSAFE_OPS

ROOT = Path(__file__).parents[4]


def test_the_list_is_that_of_the_installed_tensorflow() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "make_op_list"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr


def test_the_list_is_small_and_says_its_version() -> None:
    assert (ROOT / "tfs_deploy" / "savedmodel" / "graph" / "stock_ops.txt").stat().st_size < 40_000
    assert re.fullmatch(r"2\.\d+\.\d+", ops.stock_version())
    assert len(ops.stock_ops()) > 1500


@pytest.mark.parametrize(
    ("op", "letters"),
    [("MatMul", ""), ("StatefulPartitionedCall", "f"), ("Case", "f"), ("RandomUniform", "r"), ("ShuffleDataset", "")],
)
def test_letters(op: str, letters: str) -> None:
    assert ops.stock_ops()[op] == letters


def test_troublesome_ops_are_ops() -> None:
    """A misspelt name would never be found in a graph."""
    troublesome = ops.PYTHON_OPS | HOST_OPS | ops.PRINT_OPS | ops.BATCH_NORM_OPS | ops.VARIABLE_OPS | ops._LOSS_OPS
    assert sorted(troublesome - ops.stock_ops().keys()) == []
    assert [op for op in (*UNSAFE_OPS, *LOADER_OPS, *PATH_ATTRIBUTES) if not ops.is_known_op(op)] == []


def test_server_ops_are_not_of_tensorflow() -> None:
    assert not ops.SERVER_OPS & ops.stock_ops().keys()
    assert all(map(ops.is_known_op, ops.SERVER_OPS))
    assert not ops.is_known_op("ZeroOut")


@pytest.mark.parametrize(
    ("op", "training"),
    [
        ("ResourceApplyAdam", True),
        ("SparseApplyFtrlV2", True),
        ("ResourceApplyKerasMomentum", True),
        ("Conv2DBackpropInput", False),
        ("Conv2DBackpropFilter", True),
        ("ReluGrad", True),
        ("FusedBatchNormGradV3", True),
        ("SparseSoftmaxCrossEntropyWithLogits", True),
        ("MatMul", False),
        ("Conv2D", False),
        ("FusedBatchNormV3", False),
        ("PreventGradient", False),
        ("StopGradient", False),
        ("MyOwnGrad", False),
    ],
)
def test_training_ops(op: str, training: bool) -> None:
    assert ops.is_training_op(op) is training


def test_apply_ops_are_complete() -> None:
    """Every op of TensorFlow that applies gradients to a variable is one of training."""
    applying = [op for op in ops.stock_ops() if re.match(r"(Resource)?(Sparse)?Apply[A-Z]", op)]
    assert [op for op in applying if not ops.is_training_op(op)] == []
