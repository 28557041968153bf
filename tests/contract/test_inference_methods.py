# SPDX-License-Identifier: Apache-2.0
"""Classify, Regress, MultiInference, bound models and many examples: the same over every client."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.client import Client
from tfs_deploy.errors import (
    InvalidArgumentError,
    NotFoundError,
    RequestError,
    UnimplementedError,
    UsageError,
)

F32 = np.float32
GENERATOR = object()


def serialized(x):
    example = protos.Example()
    example.features.feature["x"].float_list.value.append(x)
    return example


@pytest.mark.parametrize(
    "examples",
    [
        [{"x": 1.5}, {"x": -2.0}],
        GENERATOR,
        [{"x": np.array([1.5], F32)}, {"x": np.float64(-2)}],
        [serialized(1.5), serialized(-2.0)],
        [serialized(1.5).SerializeToString(), {"x": -2.0, "other": b"\xff", "text": "é", "n": 7, "none": []}],
    ],
    ids=["mappings", "generator", "arrays", "messages", "mixed"],
)
def test_classify(client, examples):
    if examples is GENERATOR:
        examples = ({"x": [value]} for value in (1.5, -2.0))
    reply = client.classify("zoo", examples, signature="tf1_classify", version=2)
    assert [[each.label for each in row] for row in reply] == [["neg", "zero", "pos"]] * 2
    assert [[each.score for each in row] for row in reply] == [[-1.5, 0, 1.5], [2, 0, -2]]
    assert [best.label for best in reply.best()] == ["pos", "neg"]
    assert (reply.model, reply.version, reply.signature) == ("zoo", 2, "tf1_classify")


def test_regress(client, over_rest):
    reply = client.regress("zoo", [{"x": 1.0}, {"x": 0.1}, {}], signature="tf1_regress")
    assert reply.values.dtype == F32
    assert not reply.values.flags.writeable
    np.testing.assert_allclose(reply.values, np.array([3.5, 3.05, 3.0], F32))
    assert list(reply) == reply.values.tolist()
    assert reply.version == (None if over_rest else 2)


def test_a_context_is_shared_by_all_examples(client):
    reply = client.regress("zoo", [{"n": 1}, {"n": 2}], context={"x": 4.0}, signature="tf1_regress", label="canary")
    assert reply.values.tolist() == [5.0, 5.0]


def test_values_that_json_cannot_tell_apart(client):
    """1.0 stays a float, and NaN and infinities arrive."""
    reply = client.regress("zoo", [{"x": 1.0}, {"x": math.inf}], signature="tf1_regress")
    assert reply.values.tolist() == [3.5, math.inf]


def test_multi_inference(client, over_rest):
    tasks = [("regress", "tf1_regress"), ("classify", "tf1_classify")]
    if over_rest:
        with pytest.raises(UnimplementedError, match="the REST API does not support multi_inference") as caught:
            client.multi_inference("zoo", [{"x": 1.0}], tasks)
        assert "use Client on the gRPC port" in caught.value.hint
        return
    values, classes = client.multi_inference("zoo", [{"x": 1.0}, {"x": 2.0}], tasks)
    assert values.values.tolist() == [3.5, 4.0]
    assert [best.label for best in classes.best()] == ["pos", "pos"]
    assert (values.version, classes.signature) == (2, "tf1_classify")


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda c: c.classify("zoo", [], signature="tf1_classify"), RequestError, "there are no examples"),
        (
            lambda c: c.classify("zoo", {"x": 1.0}, signature="tf1_classify"),
            RequestError,
            "examples must be a list, not dict",
        ),
        (lambda c: c.classify("zoo", [1], signature="tf1_classify"), RequestError, "example 0 is of type int"),
        (
            lambda c: c.regress("zoo", [b"\xff"], signature="tf1_regress"),
            RequestError,
            "0 is not a serialized tf.Example",
        ),
        (
            lambda c: c.regress("zoo", [{}, {"x": [[1.0]]}], signature="tf1_regress"),
            RequestError,
            r"example 1, feature x has the shape \[1, 1\]",
        ),
        (lambda c: c.regress("zoo", [{"x": 1j}], signature="tf1_regress"), RequestError, "feature x is complex"),
        (lambda c: c.regress("zoo", [{"x": 2**63}], signature="tf1_regress"), RequestError, "does not fit int64"),
        (lambda c: c.regress("zoo", [{"x": 1.0}], signature="tf1_regres"), RequestError, "no signature tf1_regres"),
        (lambda c: c.regress("nosuch", [{"x": 1.0}]), NotFoundError, r"Latest\(nosuch\)"),
        (lambda c: c.regress("zoo", [{"x": 1.0}], label="no"), InvalidArgumentError, "Unrecognized .* label: no"),
        (lambda c: c.regress("zoo", [{"x": 1}], signature="tf1_regress"), InvalidArgumentError, "x"),
    ],
)
def test_errors(client, call, kind, message):
    with pytest.raises(kind, match=message):
        call(client)


@pytest.mark.parametrize("tasks", [[], ["predict"], [("sum", "x")], [("classify", "a", "b", "c")]])
def test_what_is_no_task(served, tasks):
    with Client(served.grpc) as client, pytest.raises(RequestError):
        client.multi_inference("zoo", [{"x": 1.0}], tasks)


def test_a_bound_model(client, over_rest):
    model = client.model("half_plus_two", label="stable", timeout=20)
    assert model.predict({"x": [2.0]})["y"].tolist() == [3.0]
    assert model.metadata().version == 123
    assert model.wait_ready() == 123
    assert [status.version for status in model.status()] == [124, 123]
    # what the call says wins, and a version takes the place of the bound label
    assert model.metadata(version=124).version == 124
    if not over_rest:
        assert model.predict({"x": [2.0]}, label="canary").version == 124
        assert model.predict({"x": [2.0]}, version=124).version == 124


def test_a_bound_signature(client):
    model = client.model("zoo", signature="tf1_classify")
    assert [row[2].score for row in model.classify([{"x": 3.0}])] == [3.0]
    assert model.regress([{"x": 3.0}], signature="tf1_regress").values.tolist() == [4.5]


def test_many_examples_keep_their_order(client):
    seen = []
    found = list(
        client.predict_many(
            "half_plus_two",
            ({"x": float(number)} for number in range(50)),
            batch_size=8,
            concurrency=3,
            progress=lambda done, failed: seen.append((done, failed)),
        )
    )
    assert [prediction.index for prediction in found] == list(range(50))
    assert [float(prediction["y"]) for prediction in found] == [number / 2 + 2 for number in range(50)]
    assert seen[-1] == (50, 0)
    assert [done for done, _ in seen] == [8, 16, 24, 32, 40, 48, 50]


def test_bad_examples_are_reported_by_index_and_fail_alone(client):
    """Number 5 cannot be divided by, number 9 has another shape, number 12 another name, number 14 no number."""
    examples = [{"x": np.int32(number)} for number in range(1, 17)]
    examples[5] = {"x": np.int32(0)}
    examples[9] = {"x": np.array([1, 2], np.int32)}
    examples[12] = {"y": np.int32(1)}
    examples[14] = {"x": "text"}
    found = list(client.model("zoo", signature="idiv").predict_many(examples, batch_size=8, concurrency=2))
    failed = {prediction.index: type(prediction.error) for prediction in found if prediction.error is not None}
    assert failed == {5: InvalidArgumentError, 9: RequestError, 12: RequestError, 14: RequestError}
    assert sum(prediction.error is None for prediction in found) == 12
    with pytest.raises(InvalidArgumentError):
        found[5]["y"]


def test_outputs_without_a_row_for_each_example(client):
    found = list(client.predict_many("zoo", [{"x": 1.0}, {"x": 2.0}], signature="toscalar"))
    assert all("predict_many needs one row per example" in prediction.error.hint for prediction in found)


def test_sizes_are_checked(client):
    for sizes in ({"batch_size": 0}, {"concurrency": 0}, {"batch_size": 1.5}):
        with pytest.raises(UsageError, match=r"not a valid (batch_size|concurrency): "):
            list(client.predict_many("zoo", [{"x": 1.0}], **sizes))
