# SPDX-License-Identifier: Apache-2.0
"""Every rule finds what it is for, and nothing in a model that is well made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfs_deploy import protos
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, PREDICT_METHOD, REGRESS_METHOD
from tfs_deploy.runtime import load_model
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.formats.tfrecord import write_records
from tfs_deploy.savedmodel.lint import (
    RULES,
    ServerTraits,
    Severity,
    lint_model,
    parse_image_version,
    reference,
    select_rules,
)
from tfs_deploy.savedmodel.warmup import write_warmup

F = "float32"
BATCH = (F, (None, 2))


def default(inputs=None, outputs=None, method=PREDICT_METHOD):
    return {"serving_default": (inputs or {"x": BATCH}, outputs or {"y": (F, (None,))}, method)}


def chain(*ops, **attributes):
    """Nodes from x to y through these ops."""
    names = ["x", *(f"n{i}" for i in range(len(ops) - 1)), "y"]
    nodes = [("x", "Placeholder")]
    nodes += [(names[i + 1], op, [names[i]], attributes) for i, op in enumerate(ops)]
    return nodes


def found(folder, **options):
    return [
        (f.rule, f.severity.value, f.where, f.message)
        for f in lint_model(folder, ignore=["TFS503", "TFS504"], **options)
    ]


def test_a_good_model_has_no_findings(write_model) -> None:
    assert found(write_model()) == []


CALL = {"f": ("func", "body")}
READS_ASSET = [
    *(("x", "Placeholder"), ("asset", "Const"), ("table", "HashTableV2"), ("passed", "Identity", ["asset"])),
    *(("fill", "InitializeTableFromTextFileV2", ["table", "passed"]), ("y", "Identity", ["x", "^fill"])),
]
NAMES_ASSET = [("x", "Placeholder"), ("asset", "Const"), ("copy", "Identity", ["asset"]), ("y", "Identity", ["x"])]
IN_SIGNATURE = "signature 'serving_default'"
MOVING_SEED = "draws random numbers, and the signature changes variables: the seed may be one of them"
NOT_COMPILED = "which a server without --xla_cpu_compilation_enabled=true refuses"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # TFS1xx
        ({"signatures": {}}, [("TFS101", "error", "saved_model.pb", "the model has no signature")]),
        (
            {"signatures": {"predict": default()["serving_default"]}},
            [("TFS102", "warning", "saved_model.pb", "there is no signature 'serving_default', only predict")],
        ),
        (
            {"signatures": default(outputs={"output_0": (F, (None,), "y:0")})},
            [("TFS103", "warning", IN_SIGNATURE, "output 'output_0' has a made-up name")],
        ),
        (
            {"signatures": default({"args_0": (*BATCH, "x:0")})},
            [("TFS104", "warning", IN_SIGNATURE, "input 'args_0' has a made-up name")],
        ),
        (
            {"signatures": default({"keras_tensor_12": (*BATCH, "x:0")})},
            [("TFS104", "warning", IN_SIGNATURE, "input 'keras_tensor_12' has a made-up name")],
        ),
        (
            {"signatures": default({"x": (F, (8, 2))})},
            [("TFS105", "warning", IN_SIGNATURE, "input 'x' has the fixed first dimension 8: float32 [8, 2]")],
        ),
        (
            {"signatures": default(outputs={"y": (F, ())})},
            [("TFS106", "warning", IN_SIGNATURE, "output 'y' is a scalar: it has no batch dimension")],
        ),
        (
            {"signatures": default({"x": BATCH, "k": ("int32", (), "x:0")})},
            [("TFS106", "warning", IN_SIGNATURE, "input 'k' is a scalar: it has no batch dimension")],
        ),
        (
            {"signatures": default({"x": (F, ())}, {"y": (F, ())})},
            [("TFS107", "warning", IN_SIGNATURE, "every input is a scalar: x")],
        ),
        (
            {"signatures": default({"x": ("float64", (None, 2))})},
            [("TFS108", "warning", IN_SIGNATURE, "input 'x' is float64")],
        ),
        ({"signatures": default({"x": ("string", (None,))})}, []),
        ({"signatures": default({"x": ("string", (None,))}), "nodes": chain("DecodeBase64")}, []),
        ({"signatures": default({"examples": ("string", (None,), "x:0")}), "nodes": chain("ParseExampleV2")}, []),
        (
            {"signatures": default({"rows": ("string", (None,), "x:0")}), "nodes": chain("ParseExampleV2")},
            [
                (
                    "TFS109",
                    "warning",
                    IN_SIGNATURE,
                    "string input 'rows' does not end in '_bytes', but the graph uses ParseExampleV2",
                )
            ],
        ),
        (
            {
                "signatures": default({"x_bytes": ("string", (None,), "x:0"), "text": ("string", (None,), "x:0")}),
                "nodes": chain("DecodePng"),
            },
            [],
        ),
        (
            {"signatures": default({"x": ("string", (None,))}), "nodes": chain("DecodeJpeg", "Relu")},
            [
                (
                    "TFS109",
                    "warning",
                    IN_SIGNATURE,
                    "string input 'x' does not end in '_bytes', but the graph uses DecodeJpeg",
                )
            ],
        ),
        ({"signatures": default({"image_bytes": ("string", (None,), "x:0")}), "nodes": chain("DecodeJpeg")}, []),
        (
            {"signatures": default(method="")},
            [("TFS110", "warning", IN_SIGNATURE, "its method name is ''")],
        ),
        (
            {"signatures": default({"x": ("string", (None,))}, method=CLASSIFY_METHOD)},
            [
                ("TFS111", "error", IN_SIGNATURE, "its inputs are x instead of 'inputs'"),
                ("TFS111", "error", IN_SIGNATURE, "its outputs are y instead of 'classes' and 'scores'"),
            ],
        ),
        (
            {"signatures": default({"inputs": (F, (None,), "x:0")}, {"outputs": (F, (None,), "y:0")}, REGRESS_METHOD)},
            [("TFS111", "error", IN_SIGNATURE, "input 'inputs' is float32, but tf.Examples arrive as string")],
        ),
        (
            {
                "signatures": default(
                    {"inputs": ("string", (None,), "x:0")}, {"scores": (F, (None, 2), "y:0")}, CLASSIFY_METHOD
                )
            },
            [],
        ),
        (
            {"signatures": default(outputs={"y": (F, (None,), "gone:0")})},
            [("TFS112", "error", IN_SIGNATURE, "output 'y' is tensor 'gone:0', which is not in the graph")],
        ),
        (
            {"signatures": default({"x": (*BATCH, "")})},
            [("TFS112", "error", IN_SIGNATURE, "input 'x' is not a dense tensor (but sparse, ragged or composite)")],
        ),
        (
            {"signatures": default(outputs={"y": ("bfloat16", (None,))})},
            [("TFS113", "info", IN_SIGNATURE, "output 'y' is bfloat16, which REST cannot carry")],
        ),
        (
            {"signatures": {**default(), "now": ({}, {"y": (F, (None,))})}},
            [("TFS114", "info", "signature 'now'", "it has no inputs")],
        ),
        (
            {"tags": ("serve", "gpu")},
            [("TFS115", "error", "saved_model.pb", "no meta graph is tagged exactly 'serve' (tags: gpu, serve)")],
        ),
        (
            {"signatures": default(outputs={"image": ("string", (None,), "y:0")}), "nodes": chain("EncodePng")},
            [
                (
                    "TFS116",
                    "warning",
                    IN_SIGNATURE,
                    "string output 'image' does not end in '_bytes', but the graph uses EncodePng",
                )
            ],
        ),
        ({"signatures": default(outputs={"png_bytes": ("string", (None,), "y:0")}), "nodes": chain("EncodePng")}, []),
        # TFS2xx
        (
            {"nodes": chain("EagerPyFunc")},
            [
                (
                    "TFS201",
                    "error",
                    IN_SIGNATURE,
                    "EagerPyFunc 'y' calls a function of the Python process that exported the model",
                )
            ],
        ),
        (
            {"functions": {"train": [("p", "PyFuncStateless")]}},
            [("TFS201", "warning", "the graph", "it holds PyFuncStateless, though no signature reaches it")],
        ),
        (
            {"nodes": chain("PartitionedCall", f=("func", "body")), "functions": {"body": [("z", "ZeroOut")]}},
            [("TFS202", "error", IN_SIGNATURE, "op ZeroOut 'z' in function 'body' is not part of TensorFlow")],
        ),
        (
            {"functions": {"train": [("z", "ZeroOut")]}},
            [("TFS202", "warning", "the graph", "op ZeroOut is not part of TensorFlow; no signature reaches it")],
        ),
        (
            {"nodes": [*chain("Relu"), ("z", "ZeroOut")]},
            [("TFS202", "error", "the graph", "op ZeroOut is not part of TensorFlow; no signature reaches it")],
        ),
        ({"nodes": chain("SentencepieceOp", "SimpleMLInferenceOpWithHandle", "TFText>NgramsStringJoin")}, []),
        ({"nodes": chain("my_function"), "functions": {"my_function": []}}, []),
        (
            {"nodes": chain("ReadFile")},
            [("TFS203", "error", IN_SIGNATURE, "ReadFile 'y' reaches out of the model, to files or other machines")],
        ),
        (
            {"nodes": chain("PartitionedCall", f=("func", "body")), "functions": {"body": [("w", "WriteFile")]}},
            [
                (
                    "TFS203",
                    "error",
                    IN_SIGNATURE,
                    "WriteFile 'w' in function 'body' reaches out of the model, to files or other machines",
                )
            ],
        ),
        (
            {
                "nodes": [*chain("Relu"), ("start", "MatchingFiles")],
                "signatures": {
                    **default(),
                    "__saved_model_init_op": ({}, {"__saved_model_init_op": ("int32", None, "start")}),
                },
            },
            [
                (
                    "TFS203",
                    "error",
                    "loading",
                    "MatchingFiles 'start' reaches out of the model, to files or other machines",
                )
            ],
        ),
        ({"nodes": [*chain("Relu"), ("save", "SaveV2"), ("restore", "RestoreV2")]}, []),
        (
            {"nodes": chain("PrintV2")},
            [("TFS204", "warning", IN_SIGNATURE, "PrintV2 'y' writes to the server's log at every call")],
        ),
        (
            {"nodes": chain("ResourceApplyAdam")},
            [("TFS205", "warning", IN_SIGNATURE, "ResourceApplyAdam 'y' belongs to training")],
        ),
        (
            {"nodes": chain("Conv2DBackpropFilter")},
            [("TFS205", "warning", IN_SIGNATURE, "Conv2DBackpropFilter 'y' belongs to training")],
        ),
        (
            {"nodes": chain("FusedBatchNormV3", is_training=True)},
            [("TFS205", "warning", IN_SIGNATURE, "FusedBatchNormV3 runs in training mode")],
        ),
        (
            {"nodes": chain("FusedBatchNormV3")},
            [("TFS205", "warning", IN_SIGNATURE, "FusedBatchNormV3 runs in training mode")],
        ),
        ({"nodes": chain("FusedBatchNormV3", is_training=False)}, []),
        ({"functions": {"train_step": [("a", "ResourceApplyAdam"), ("r", "RandomUniform")]}}, []),
        (
            {
                "nodes": chain("PartitionedCall", f=("func", "outer")),
                "functions": {
                    "outer": [("c", "StatefulPartitionedCall", [], {"f": ("func", "body"), "_XlaMustCompile": True})],
                    "body": [],
                },
            },
            [
                (
                    "TFS210",
                    "error",
                    IN_SIGNATURE,
                    "StatefulPartitionedCall in function 'outer' (jit_compile=True) is compiled with XLA, "
                    + NOT_COMPILED,
                )
            ],
        ),
        (
            {"nodes": chain("XlaSharding")},
            [("TFS210", "error", IN_SIGNATURE, f"XlaSharding 'y' is compiled with XLA, {NOT_COMPILED}")],
        ),
        (
            {"nodes": chain("Relu", _xla_compile_id=b"cluster_0")},
            [("TFS210", "error", IN_SIGNATURE, f"Relu (jit_compile=True) is compiled with XLA, {NOT_COMPILED}")],
        ),
        ({"nodes": chain("Relu", _XlaMustCompile=False)}, []),
        ({"nodes": chain("Conv2DBackpropInput")}, []),
        ({"nodes": chain("Conv3DBackpropInputV2")}, []),
        ({"nodes": chain("DepthwiseConv2dNativeBackpropInput")}, []),
        (
            {"nodes": chain("RandomUniform", seed=0, seed2=0)},
            [("TFS206", "warning", IN_SIGNATURE, "RandomUniform draws random numbers without a seed")],
        ),
        (
            {"nodes": chain("RandomUniform", seed=0, seed2=7)},
            [
                (
                    "TFS206",
                    "warning",
                    IN_SIGNATURE,
                    "RandomUniform draws other random numbers of its seed at every call",
                )
            ],
        ),
        (
            {"nodes": chain("RngReadAndSkip")},
            [("TFS206", "warning", IN_SIGNATURE, "RngReadAndSkip 'y' draws other random numbers at every call")],
        ),
        (
            {"nodes": chain("Timestamp")},
            [("TFS206", "warning", IN_SIGNATURE, "Timestamp 'y' reads the clock")],
        ),
        (
            {"nodes": chain("AssignVariableOp", "StatelessRandomUniformV2")},
            [
                (
                    "TFS206",
                    "warning",
                    IN_SIGNATURE,
                    f"StatelessRandomUniformV2 {MOVING_SEED}",
                ),
                ("TFS208", "warning", IN_SIGNATURE, "it changes variables (AssignVariableOp)"),
            ],
        ),
        (
            {"nodes": chain("LookupTableInsertV2")},
            [("TFS208", "warning", IN_SIGNATURE, "it changes tables or queues (LookupTableInsertV2)")],
        ),
        (
            {"nodes": chain("LookupTableFindV2")},
            [],
        ),
        ({"nodes": chain("StatelessRandomUniformV2")}, []),
        (
            {"nodes": chain("AssignAddVariableOp")},
            [("TFS208", "warning", IN_SIGNATURE, "it changes variables (AssignAddVariableOp)")],
        ),
        # TFS3xx
        (
            {"assets": ["vocabulary.txt"], "nodes": READS_ASSET},
            [("TFS302", "error", "assets/vocabulary.txt", "the graph reads this file, but it does not exist")],
        ),
        (
            {"assets": ["x" * 5000], "nodes": READS_ASSET},
            [("TFS302", "error", f"assets/{'x' * 5000}", "the graph reads this file, but it does not exist")],
        ),
        (
            {"assets": ["unread.txt"], "nodes": NAMES_ASSET},
            [
                (
                    *("TFS302", "info", "assets/unread.txt"),
                    "the graph names this file, which does not exist, but nothing opens it",
                )
            ],
        ),
        (
            {"nodes": [*chain("Relu"), ("v", "VarHandleOp"), ("w", "VarHandleOp")]},
            [("TFS303", "error", "variables", "the graph has 2 variables, but there are no files with their values")],
        ),
    ],
)
def test_models(write_model, model, expected) -> None:
    assert found(write_model(**model)) == expected


@pytest.mark.parametrize(
    ("written_by", "image", "finds"),
    [
        ("2.16.1", "2.15", True),
        ("2.16.1", "tensorflow/serving:2.15.1-gpu", True),
        ("2.9.0", "2.10.0", False),  # as numbers, not as text
        ("2.16.1", "2.16.0", False),
        ("2.17.0-rc1", "2.16", True),
        ("1.15.0", "2.16", False),
        ("unknown", "2.16", False),
        ("2.16.1", None, False),
    ],
)
def test_newer_tensorflow(write_model, written_by, image, finds: bool) -> None:
    rules = [rule for rule, *_ in found(write_model(tensorflow=written_by), image_version=image)]
    assert rules == (["TFS207"] if finds else [])


def test_a_server_that_compiles(write_model) -> None:
    folder = write_model(nodes=chain("XlaSharding"))
    assert found(folder, server=ServerTraits(xla=True)) == []


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.19", (2, 19)),
        ("v2.19.1", (2, 19)),
        ("2.19.1-gpu", (2, 19)),
        ("tensorflow/serving:2.20.0", (2, 20)),
        ("localhost:5000/mirror/serving:2.9.3-devel-gpu@sha256:abcd", (2, 9)),
    ],
)
def test_image_versions(text: str, version) -> None:
    assert parse_image_version(text) == version


@pytest.mark.parametrize("text", ["latest", "tensorflow/serving", "tensorflow/serving:latest-gpu", "", "2"])
def test_images_without_version(text: str) -> None:
    with pytest.raises(UsageError, match="is not a version of the server"):
        parse_image_version(text)


@pytest.mark.parametrize("text", ["hb/server:1", "hb/server", f"tensorflow/serving@sha256:{'a' * 64}"])
def test_no_release_is_assumed_for_an_image_that_does_not_tell_it(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_image_version(text)
    assert str(caught.value.message) == f"'{text}' is not a version of the server: its tag has no release"
    assert caught.value.hint == "give the release of TensorFlow Serving in it, such as --image-version 2.19"


@pytest.mark.parametrize(
    ("size", "severity", "message"),
    [
        (1 << 30, "", ""),
        ((1 << 30) + 1, "warning", "it has 1.07 GB: loading it takes about 5 GB of memory"),
        ((1 << 31) - 1, "warning", "it has 2.15 GB: loading it takes about 11 GB of memory"),
        (1 << 31, "error", "it has 2.15 GB, and protobuf reads less than 2 GiB"),
    ],
)
def test_large_graph(write_model, size: int, severity: str, message: str) -> None:
    folder = write_model()
    # An unknown field that fills the file, on disk as a hole: what is long and unknown is skipped.
    path = folder / "saved_model.pb"
    length = size - path.stat().st_size - 7
    with path.open("ab") as file:
        file.write(
            b"\xfa\x07" + bytes([length >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21)]) + bytes([length >> 28])
        )
        file.truncate(size)
    assert found(folder) == ([("TFS301", severity, "saved_model.pb", message)] if message else [])


def test_weights_in_the_graph(write_model) -> None:
    folder = write_model(nodes=[*chain("Relu"), ("w", "Const")])
    path = folder / "saved_model.pb"
    model = protos.SavedModel.FromString(path.read_bytes())
    model.meta_graphs[0].graph_def.node[2].attr["value"].tensor.tensor_content = bytes(70 << 20)
    path.write_bytes(model.SerializeToString())
    assert found(folder) == [("TFS209", "info", "saved_model.pb", "1 constant of the graph holds 73 MB")]


def test_manifest_sizes(write_model) -> None:
    from tfs_deploy.savedmodel.manifest import build_manifest, write_manifest

    folder = write_model()
    (folder / "variables").mkdir()
    (folder / "variables" / "part").write_bytes(b"12345")
    write_manifest(folder, build_manifest(folder, signature_digest=""))
    assert found(folder) == []
    (folder / "variables" / "part").write_bytes(b"123")
    assert found(folder) == [("TFS304", "error", "variables/part", "it has 3 bytes, but the manifest says 5")]
    (folder / "variables" / "part").unlink()
    assert found(folder) == [("TFS304", "error", "variables/part", "it is missing, though the manifest lists it")]
    (folder / "assets.extra" / "tfs_deploy.json").write_text("{")
    ((rule, severity, _, message),) = found(folder)
    assert (rule, severity) == ("TFS304", "error")
    assert "is not a valid manifest" in message


@pytest.mark.parametrize(
    ("version", "beside", "expected"),
    [
        ("007", {}, [("TFS401", "warning", "directory '007'", "the server takes it for version 7")]),
        ("1", {"-2": "model"}, [("TFS402", "error", "directory '-2'", "the server takes it for version -2")]),
        ("1", {"2": "file"}, [("TFS403", "error", "file '2'", "the server takes it for version 2")]),
        (
            "1",
            {"01": "model"},
            [
                ("TFS401", "warning", "directory '01'", "the server takes it for version 1"),
                ("TFS404", "error", "directories 01, 1", "the server takes all of them for version 1"),
            ],
        ),
        ("staging", {}, [("TFS405", "warning", "directory 'staging'", "its name is not a number")]),
        (
            "1",
            {"2": "empty"},
            [("TFS406", "error", "directory '2'", "the server takes it for a version, but it has no model")],
        ),
        ("1", {"notes.txt": "file", "2.tmp": "empty", "3": "tflite"}, []),
    ],
)
def test_directories(write_model, version: str, beside, expected) -> None:
    folder = write_model(version)
    for name, kind in beside.items():
        if kind == "file":
            (folder.parent / name).write_text("")
        elif kind == "model":
            write_model(name)
        else:
            (folder.parent / name).mkdir()
            if kind == "tflite":
                (folder.parent / name / "model.tflite").write_bytes(b"")
    assert found(folder) == expected


def test_the_whole_base_path_is_looked_at_from_below(write_model, monkeypatch) -> None:
    folder = write_model("1")
    (folder.parent / "9").write_text("")
    monkeypatch.chdir(folder)
    assert [rule for rule, *_ in found(Path())] == ["TFS403"]


def test_a_base_path_is_judged_by_its_latest_model(write_model) -> None:
    folder = write_model("1")
    (folder.parent / "2").write_text("")
    (folder.parent / "3").mkdir()
    assert found(folder.parent) == [
        ("TFS403", "error", "file '2'", "the server takes it for version 2"),
        ("TFS406", "error", "directory '3'", "the server takes it for a version, but it has no model"),
    ]


def request(name: str = "", dtype: int = 1, shape=(1, 2), inputs=("x",), filtered=()):
    message = protos.PredictRequest(output_filter=filtered)
    message.model_spec.signature_name = name
    for key in inputs:
        message.inputs[key].dtype = dtype
        for size in shape:
            message.inputs[key].tensor_shape.dim.add(size=size)
    return message


def log(kind: str):
    message = protos.PredictionLog()
    getattr(message, kind).SetInParent()
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("warmup", "reason"),
    [
        (request(), None),
        (request("serving_default", shape=(32, 2)), None),
        (request("gone"), "the model has no signature 'gone'"),
        (request(dtype=2), "input 'x' is float64 instead of float32"),
        (request(inputs=()), "it lacks input 'x'"),
        (request(inputs=("x", "z")), "signature 'serving_default' has no input 'z'"),
        (request(filtered=["scores"]), "signature 'serving_default' has no output 'scores'"),
        (protos.ClassificationRequest(), "signature 'serving_default' has the method 'tensorflow/serving/predict'"),
        (protos.RegressionRequest(), "signature 'serving_default' has the method 'tensorflow/serving/predict'"),
        (
            protos.MultiInferenceRequest(tasks=[{"method_name": REGRESS_METHOD}]),
            "signature 'serving_default' has the method .* not 'tensorflow/serving/regress'",
        ),
    ],
)
def test_warmup_requests(write_model, warmup, reason) -> None:
    import re

    folder = write_model()
    write_warmup(folder, [request(), warmup])
    findings = lint_model(folder, select=["TFS501"])
    if reason is None:
        assert findings == []
    else:
        (finding,) = findings
        assert re.fullmatch(f"record 1 cannot be replayed: {reason}.*", finding.message)


@pytest.mark.parametrize("shape", [(1, 3), (2,)])
def test_a_warmup_request_of_another_shape_is_for_the_graph_to_judge(write_model, shape) -> None:
    folder = write_model()
    write_warmup(folder, [request(shape=shape)])
    (finding,) = lint_model(folder, select=["TFS501"])
    assert finding.severity is Severity.WARNING
    assert finding.message == (
        f"record 0 may not be replayed: input 'x' has shape {list(shape)}, which does not fit float32 [?, 2]"
    )


@pytest.mark.parametrize(
    ("warmup", "rows", "reason"),
    [
        (request(shape=(32, 2)), None, None),
        (request(shape=(32, 2)), 32, None),
        (request(shape=(32, 2)), 16, "it has 32 rows, more than max_batch_size 16"),
        (request(shape=(32, 2), filtered=["y"]), 16, None),
        (request(shape=()), 16, "batching is on, and an input is a scalar"),
    ],
)
def test_warmup_requests_for_a_server_that_batches(write_model, warmup, rows, reason) -> None:
    folder = write_model()
    write_warmup(folder, [warmup])
    findings = lint_model(folder, select=["TFS501"], server=ServerTraits(max_request_rows=rows))
    errors = [finding.message for finding in findings if finding.severity is Severity.ERROR]
    assert errors == ([f"record 0 cannot be replayed: {reason}"] if reason else [])


def test_classify_and_regress_look_at_names_not_at_the_method(write_model) -> None:
    examples = ("string", (None,), "x:0")
    folder = write_model(
        signatures={
            "serving_default": ({"inputs": examples}, {"scores": (F, (None, 2), "y:0")}),
            "regress": ({"inputs": examples}, {"outputs": (F, (None,), "y:0")}),
        }
    )
    some = {"example_list": {"examples": [{}, {}, {}]}}
    classify = protos.ClassificationRequest(input=some)
    regress = protos.RegressionRequest(input=some)
    regress.model_spec.signature_name = "regress"
    write_warmup(folder, [classify, regress])
    assert lint_model(folder, select=["TFS501"]) == []
    first, _ = lint_model(folder, select=["TFS501"], server=ServerTraits(max_request_rows=2))
    assert first.message == "record 0 cannot be replayed: it has 3 rows, more than max_batch_size 2"
    write_warmup(folder, [protos.ClassificationRequest(input={"example_list": {}})])
    (empty,) = lint_model(folder, select=["TFS501"])
    assert empty.message == "record 0 cannot be replayed: its input is empty"


def test_warmup_files(write_model) -> None:
    folder = write_model()
    path = write_warmup(folder, [])
    assert found(folder) == []
    write_records(path, [log("predict_streamed_log")])
    assert "the server does not replay a predict_streamed_log" in found(folder)[0][3]
    write_records(path, [b""])
    assert found(folder) == []
    write_records(path, [protos.PredictionLog(predict_log={"request": request()}).SerializeToString()] * 1001)
    assert [rule for rule, *_ in found(folder)] == ["TFS502"]
    path.write_bytes(path.read_bytes()[:-3])
    assert [rule for rule, *_ in found(folder)] == ["TFS501"]


def test_no_warmup_and_no_goldens_are_mentioned(write_model) -> None:
    assert [(f.rule, f.severity) for f in lint_model(write_model())] == [
        ("TFS503", Severity.INFO),
        ("TFS504", Severity.INFO),
    ]


def test_every_rule_is_tested_here() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [rule.id for rule in RULES if f'"{rule.id}"' not in text] == []


def test_ids_and_names_are_unique_and_in_order() -> None:
    assert [rule.id for rule in RULES] == sorted({rule.id for rule in RULES})
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    ("select", "ignore", "ids"),
    [
        (["TFS105"], [], ["TFS105"]),
        (
            ["tfs10"],
            ["TFS101", "made-up-output-name"],
            ["TFS102", "TFS104", "TFS105", "TFS106", "TFS107", "TFS108", "TFS109"],
        ),
        (["fixed-batch-dimension", "TFS40"], ["TFS4"], ["TFS105"]),
    ],
)
def test_selecting_rules(select, ignore, ids) -> None:
    assert [rule.id for rule in select_rules(select, ignore)] == ids


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("TFS999", "did you mean 'TFS"),
        ("fixed-batch-dimensions", "did you mean 'fixed-batch-dimension'?"),
        ("", "`tfs-deploy lint --rules` lists all rules"),
    ],
)
def test_unknown_rules(entry: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"unknown rule '{entry}'") as caught:
        select_rules([entry])
    assert caught.value.hint.startswith(hint)


def test_the_reference_is_in_the_documentation() -> None:
    """Written by: tfs-deploy lint --rules > docs/lint.md."""
    assert (Path(__file__).parents[4] / "docs" / "lint.md").read_text() == reference() + "\n"


def test_a_model_that_cannot_be_read_is_no_verdict(tmp_path) -> None:
    with pytest.raises(ModelError):
        lint_model(tmp_path)


def test_a_lost_file_whose_name_only_goes_into_a_variable(models) -> None:
    """The original serves this model of its own tests."""
    info = inspect_model(models / "saved_model_half_plus_two_cpu_with_saved_model_config")
    assert [(f.where, f.severity.value) for f in lint_model(info, select=["TFS302"])] == [("assets/foo.txt", "info")]


@pytest.mark.parametrize(
    ("device", "elsewhere"),
    [
        ("/device:GPU:0", True),
        ("/job:localhost/replica:0/task:0/gpu:1", True),
        ("/job:worker/task:1/cpu:0", True),
        ("/job:localhost/replica:0/task:0/device:CPU:0", False),
        ("/cpu:0", False),
    ],
)
def test_nodes_that_are_pinned_to_devices(write_model, device, elsewhere) -> None:
    folder = write_model()
    model = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    model.meta_graphs[0].graph_def.node[1].device = device
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    findings = [f"{each.severity.value}: {each.message}" for each in lint_model(folder, select=["TFS211"])]
    assert findings == ([f"warning: node 'y' is pinned to {device}"] if elsewhere else [])


def test_a_model_that_is_pinned_to_a_device_that_is_not_there(copy_model) -> None:
    folder = copy_model("saved_model_half_plus_two_cpu/00000123")
    model = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for node in model.meta_graphs[0].graph_def.node:
        node.device = "/device:GPU:7"
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="Cannot assign a device") as caught:
        load_model(folder)
    assert "allow_soft_placement" in caught.value.hint
