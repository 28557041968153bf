# SPDX-License-Identifier: Apache-2.0
"""Which columns, labels and outputs a data set is checked with."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.groups.data import (
    DataSettings,
    choose_label,
    choose_output,
    choose_signature,
    inputs_of,
    named_classes,
    require_fit,
)
from tfs_deploy.verify.measure.data_sets import RECORD
from tfs_deploy.verify.measure.metrics import MetricLimit

LIMIT = MetricLimit("mae", "<", 1.0)


def signature(**inputs: tuple[str, tuple[int | None, ...]]) -> SignatureInfo:
    specs = {name: TensorSpec(name, dtype, shape) for name, (dtype, shape) in inputs.items()}
    return SignatureInfo("serving_default", PREDICT_METHOD, specs)


def test_columns_take_dtype_and_shape_of_the_inputs():
    wanted = signature(image=("float32", (None, 2, 2)), k=("int64", (None,)))
    settings = DataSettings({"image": np.arange(8).reshape(2, 4), "k": np.array([1.0, 2.0]), "y": np.ones(2)}, ())
    inputs = inputs_of(settings, wanted, "y")
    assert (inputs["image"].shape, inputs["image"].dtype) == ((2, 2, 2), np.float32)
    assert inputs["k"].dtype == np.int64
    flat = inputs_of(DataSettings({"v": np.ones(3), "y": np.ones(3)}, ()), signature(x=("float32", (None, 1))), "y")
    assert flat["x"].shape == (3, 1)


def test_records_are_what_a_signature_of_examples_takes():
    records = np.array([b"1", b"2"], object)
    settings = DataSettings({"age": np.ones(2), "label": np.ones(2), RECORD: records}, ())
    assert inputs_of(settings, signature(inputs=("string", (None,))), "label")["inputs"].tolist() == [b"1", b"2"]


def test_what_does_not_fit_is_named():
    settings = DataSettings({"a": np.ones(2), "b": np.ones(2), "label": np.ones(2)}, ())
    with pytest.raises(UsageError, match="no column for input 'x'"):
        inputs_of(settings, signature(x=("float32", (None,))), "label")
    with pytest.raises(UsageError, match="but the input is string"):
        inputs_of(settings, signature(a=("string", (None,)), b=("float32", (None,))), "label")


def test_labels_outputs_and_signatures_are_chosen():
    wanted = signature(x=("float32", (None,)))
    assert choose_label(DataSettings({"x": np.ones(1), "target": np.ones(1), "id": np.ones(1)}, ()), wanted) == "target"
    assert choose_label(DataSettings({"x": np.ones(1), "price": np.ones(1)}, ()), wanted) == "price"
    with pytest.raises(UsageError, match="no label column"):
        choose_label(DataSettings({"x": np.ones(1), "p": np.ones(1), "q": np.ones(1)}, ()), wanted)
    assert choose_output({"scores": np.ones(1), "other": np.ones(1)}, None) == "scores"
    with pytest.raises(UsageError, match="several outputs"):
        choose_output({"a": np.ones(1), "b": np.ones(1)}, None)
    assert choose_signature({"only": wanted}, None) is wanted
    with pytest.raises(UsageError, match="unknown signature 'gone'"):
        choose_signature({"only": wanted}, "gone")


def test_a_column_is_not_rounded_for_an_input_of_integers():
    wanted = signature(x=("int32", (None,)))
    assert inputs_of(DataSettings({"x": np.array([1.0, 2.0]), "y": np.ones(2)}, ()), wanted, "y")["x"].tolist() == [
        1,
        2,
    ]
    for column in (np.array([1.5, 2.0]), np.array([2**40, 1]), np.array([np.nan, 1])):
        with pytest.raises(UsageError, match="values that int32 cannot hold"):
            inputs_of(DataSettings({"x": column, "y": np.ones(2)}, ()), wanted, "y")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DataSettings({"z": np.ones(1), "k": np.ones(1), "label": np.ones(1)}, ()), "no column for input 'x'"),
        (DataSettings({"x": np.ones(1), "label": np.ones(1)}, (), label="gone"), "no label column 'gone'"),
        (DataSettings({"x": np.ones(1), "label": np.ones(1)}, (), signature="gone"), "unknown signature 'gone'"),
        (DataSettings({"x": np.ones(1), "label": np.ones(1)}, (LIMIT,)), "several outputs"),
        (DataSettings({"x": np.ones(1), "label": np.ones(1)}, (LIMIT,), output="gone"), "unknown output 'gone'"),
        (DataSettings({"x": np.ones(1), "label": np.ones(1)}, (LIMIT,), output="a"), ""),
        (DataSettings({"x": np.ones(1), "label": np.ones(1)}, ()), ""),
    ],
)
def test_a_data_set_that_does_not_fit_the_files_is_known_before_a_server_starts(settings, message):
    specs = {name: TensorSpec(name, "float32", (None,)) for name in ("x", "a", "b")}
    signatures = {"only": SignatureInfo("only", PREDICT_METHOD, {"x": specs["x"]}, {"a": specs["a"], "b": specs["b"]})}
    if not message:
        require_fit(signatures, settings)
        return
    with pytest.raises(UsageError, match=message):
        require_fit(signatures, settings)


def test_labels_of_text_are_compared_with_the_names_of_the_classes():
    names = np.array([[b"cat", b"dog"], [b"cat", b"dog"]], object)
    answer = {"classes": names, "scores": np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)}
    texts, numbers = np.array([b"dog", b"cat"], object), np.array([1, 0])
    for output in ("classes", "scores"):
        assert named_classes(answer, output, texts).tolist() == [b"dog", b"cat"]
    assert named_classes(answer, "scores", numbers) is answer["scores"]
    assert named_classes({"scores": answer["scores"]}, "scores", texts) is answer["scores"]
    right = MetricLimit("accuracy", ">=", 1.0)
    assert right.judge(named_classes(answer, "classes", texts), texts).status is CheckStatus.PASSED
    swapped = {**answer, "classes": names[:, ::-1]}  # the labels of another model
    assert right.judge(named_classes(swapped, "classes", texts), texts).status is CheckStatus.FAILED
    with pytest.raises(UsageError, match="each row has 2 texts"):
        right.judge(names, texts)
