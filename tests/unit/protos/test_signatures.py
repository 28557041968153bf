# SPDX-License-Identifier: Apache-2.0
"""SignatureDef messages as plain values."""

from __future__ import annotations

import pytest

from tfs_deploy import protos
from tfs_deploy.protos.signatures import TensorSpec, dtype_name, signature_infos


def definition(text: str):
    return protos.parse_text(text, protos.SignatureDef())


def test_reads_names_dtypes_and_shapes():
    signature = definition(
        'inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT tensor_shape { dim { size: -1 } dim { size: 8 } } } }'
        'outputs { key: "y" value { name: "y:0" dtype: DT_STRING tensor_shape { unknown_rank: true } } }'
        'method_name: "tensorflow/serving/predict"'
    )
    info = signature_infos({"serving_default": signature})["serving_default"]
    assert info.inputs == {"x": TensorSpec("x", "float32", (None, 8), "x:0")}
    assert info.outputs["y"].shape is None
    assert info.outputs["y"].dtype == "string"
    assert str(info.inputs["x"]) == "float32 [?, 8]"
    assert str(info.outputs["y"]) == "string [...]"


def test_scalar_shape_is_not_unknown_rank():
    signature = definition('inputs { key: "x" value { dtype: DT_INT64 tensor_shape { } } }')
    assert signature_infos({"s": signature})["s"].inputs["x"].shape == ()


def test_internal_signatures_are_hidden():
    assert signature_infos({"__saved_model_init_op": protos.SignatureDef(), "b": protos.SignatureDef()}).keys() == {"b"}


@pytest.mark.parametrize(("number", "name"), [(1, "float32"), (101, "float32"), (14, "bfloat16"), (999, "dtype 999")])
def test_dtype_names(number, name):
    assert dtype_name(number) == name


def test_dtype_names_are_those_of_the_schema():
    values = protos.pool().FindEnumTypeByName("tensorflow.DataType").values_by_name
    renamed = {"float": "float32", "double": "float64", "half": "float16"}
    for enum_name, value in values.items():
        name = enum_name.removeprefix("DT_").lower()
        expected = renamed.get(name, name)
        if value.number < 26 and value.number > 0:
            assert dtype_name(value.number) == expected


def test_what_is_no_dense_tensor_says_what_it_is():
    signature = protos.SignatureDef()
    ragged = signature.outputs["r"].composite_tensor
    ragged.type_spec.type_spec_class_name = "RaggedTensorSpec"
    ragged.components.add(name="r:0", dtype=1)
    signature.outputs["s"].coo_sparse.values_tensor_name = "s:0"
    signature.outputs["s"].dtype = 1
    signature.outputs["d"].name = "d:0"
    outputs = signature_infos({"s": signature})["s"].outputs
    assert {name: spec.composite for name, spec in outputs.items()} == {"d": "", "r": "ragged", "s": "sparse"}
    assert str(outputs["r"]) == "ragged float32 [...]"
