# SPDX-License-Identifier: Apache-2.0
"""What a policy refuses, wherever it hides, and what it takes: every model that TensorFlow wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.savedmodel.conftest import DATA, REAL, fill_node, fill_signature
from tfs_deploy import protos
from tfs_deploy.protos.signatures import PREDICT_METHOD
from tfs_deploy.savedmodel.graph.unsafe_ops import UNSAFE_OPS
from tfs_deploy.savedmodel.lint import lint_model
from tfs_deploy.savedmodel.lint.policy import Policy

POLICY = Policy("policy.yaml", "0" * 64)
STRING = {"x": ("string", (None,))}
X = ("x", "Placeholder")


def found(folder: Path, policy: Policy = POLICY) -> list[tuple[str, str, str]]:
    return [(f.rule, f.where, f.message) for f in lint_model(folder, select=["TFS6"], policy=policy)]


def edit(folder: Path) -> Any:
    """Change a hand-made model: a context manager that gives its message and writes it again."""

    class Edit:
        def __enter__(self) -> Any:
            self.model = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
            return self.model

        def __exit__(self, *_: object) -> None:
            (folder / "saved_model.pb").write_bytes(self.model.SerializeToString(deterministic=True))

    return Edit()


def add_function(meta: Any, name: str, arguments: list[str], nodes: list[Any]) -> None:
    function = meta.graph_def.library.function.add()
    function.signature.name = name
    for argument in arguments:
        function.signature.input_arg.add(name=argument)
    for node in nodes:
        fill_node(function.node_def.add(), *node)


@pytest.mark.parametrize("name", [*REAL, "compiled/1"])
def test_models_of_tensorflow_keep_the_default_policy(name: str) -> None:
    assert found(DATA / name) == []


def test_without_a_policy_nothing_is_found(write_model) -> None:
    assert lint_model(write_model(nodes=[X, ("y", "WriteFile", ["x"])]), select=["TFS6"]) == []


@pytest.mark.parametrize("op", sorted(UNSAFE_OPS))
def test_every_unsafe_op_is_refused_where_nothing_runs_it(write_model, op: str) -> None:
    folder = write_model(functions={"never_called": [("hidden", op)]})
    assert found(folder) == [("TFS601", "function 'never_called'", f"it holds {op} 'hidden', which {UNSAFE_OPS[op]}")]


def test_other_meta_graphs_are_looked_at(write_model) -> None:
    folder = write_model()
    with edit(folder) as model:
        other = model.meta_graphs.add()
        other.meta_info_def.tags.extend(["train", "gpu"])
        fill_node(other.graph_def.node.add(), "w", "WriteFile")
        fill_node(other.graph_def.node.add(), "v", "WriteFile")
    what = "it holds WriteFile 'w', which writes a file that the graph names"
    assert found(folder) == [("TFS601", "tag set 'gpu, train': the graph", what)]


def test_a_function_whose_name_is_used_twice_hides_nothing(write_model) -> None:
    folder = write_model(functions={"body": [("hidden", "ReadFile")]})
    with edit(folder) as model:
        add_function(model.meta_graphs[0], "body", [], [("plain", "NoOp")])
        add_function(model.meta_graphs[0], "saver", [], [("save", "SaveV2")])
        add_function(model.meta_graphs[0], "saver", [], [("plain", "NoOp")])
    assert [message for _, _, message in found(folder)] == [
        "it holds ReadFile 'hidden', which reads a file that the graph names",
        "it holds SaveV2 'save', which stands in a function of whose name there are two",
    ]


@pytest.mark.parametrize(
    ("op", "attribute", "value", "refused"),
    [
        ("PrintV2", "output_stream", b"file:///tmp/log", True),
        ("PrintV2", "output_stream", b"stderr", False),
        ("PrintV2", "output_stream", b"log(info)", False),
        ("PrintV2", "output_stream", b"file:///" + b"a" * 100_000, True),
        ("DecodeProtoV2", "descriptor_source", b"/etc/passwd", True),
        ("EncodeProto", "descriptor_source", b"local://", False),
        ("DecodeProtoV2", "descriptor_source", b"bytes://" + b"a" * 100_000, False),
    ],
)
def test_some_ops_open_a_file_by_an_attribute(write_model, op, attribute, value, refused) -> None:
    folder = write_model(nodes=[X, ("y", op, ["x"], {attribute: value})])
    message = f"it holds {op} 'y', which opens the file that its {attribute} names"
    assert found(folder) == ([("TFS601", "the graph", message)] if refused else [])
    assert found(folder, Policy("p", "0", allow=frozenset({op}))) == []


def test_allow_and_deny(write_model) -> None:
    folder = write_model(nodes=[X, ("r", "ReadFile", ["x"]), ("y", "Identity", ["r"])])
    assert found(folder, Policy("p", "0", allow=frozenset({"ReadFile"}))) == []
    both = Policy("p", "0", allow=frozenset({"ReadFile"}), deny=frozenset({"ReadFile", "Identity"}))
    assert [message for *_, message in found(folder, both)] == [
        "it holds Identity 'y', which the policy denies",
        "it holds ReadFile 'r', which the policy denies",
    ]
    listed = Policy("p", "0", default_ops=False, allow=frozenset({"Placeholder", "Identity"}))
    assert found(folder, listed) == [("TFS601", "the graph", "it holds ReadFile 'r', which the policy does not allow")]


def test_custom_ops(write_model, monkeypatch, tmp_path) -> None:
    library = tmp_path / "lib.so"
    library.write_bytes(b"\0ZeroOut\0")
    monkeypatch.setenv("TFS_DEPLOY_OP_LIBRARIES", str(library))  # a library that is loaded here changes nothing
    folder = write_model(nodes=[X, ("z", "ZeroOut", ["x"]), ("y", "body", ["z"])], functions={"body": [("i", "NoOp")]})
    refused = [("TFS602", "the graph", "it holds ZeroOut 'z', which the stock server does not have")]
    assert found(folder) == refused
    assert found(folder, Policy("p", "0", default_ops=False, allow=frozenset({"Placeholder", "NoOp"}))) == refused
    assert found(folder, Policy("p", "0", custom_ops=True)) == []
    assert found(folder, Policy("p", "0", allow=frozenset({"ZeroOut"}))) == []
    denied = [("TFS602", "the graph", "it holds ZeroOut 'z', which the policy denies")]
    assert found(folder, Policy("p", "0", custom_ops=True, deny=frozenset({"ZeroOut"}))) == denied


class Loader:
    """A model with a saver, as TensorFlow 2 writes it: calls of functions that save and restore."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, *, restore: list[Any], body: list[Any], save: list[Any] = (), more: list[Any] = ()) -> Path:
        with edit(self.folder) as model:
            meta = model.meta_graphs[0]
            for node in (("file", "Placeholder"), ("elsewhere", "Const"), *more):
                fill_node(meta.graph_def.node.add(), *node)
            call = ("restore", "StatefulPartitionedCall", restore, {"f": ("func", "restoring")})
            fill_node(meta.graph_def.node.add(), *call)
            add_function(meta, "restoring", ["variable", "prefix"], body)
            add_function(meta, "saving", ["prefix"], [("save", "SaveV2", ["prefix"])])
            for node in save:
                fill_node(meta.graph_def.node.add(), *node)
            meta.saver_def.filename_tensor_name = "file:0"
            meta.saver_def.restore_op_name = "restore"
        return self.folder


SAVE = ("save", "StatefulPartitionedCall", ["elsewhere"], {"f": ("func", "saving")})
RESTORE = [("passed", "Identity", ["prefix"]), ("read", "RestoreV2", ["passed:output:0", "names"])]
OTHER = "it holds RestoreV2 'read', which reads another checkpoint than the version's own variables"
WRITES = "it holds SaveV2 'save', which writes files when loading the model runs"


@pytest.mark.parametrize(
    ("restore", "body", "save", "expected"),
    [
        (["v", "file"], RESTORE, [SAVE], []),
        (["v", "elsewhere"], RESTORE, [], [OTHER]),
        (["file", "elsewhere"], RESTORE, [], [OTHER]),
        (["v"], RESTORE, [], [OTHER]),
        (["v", "file"], [("read", "RestoreV2", ["path:output:0"]), ("path", "Const")], [], [OTHER]),
        (["v", "file", "^save"], RESTORE, [SAVE], [WRITES]),
    ],
)
def test_the_loader_reads_its_own_files(write_model, restore, body, save, expected) -> None:
    folder = Loader(write_model()).write(restore=restore, body=body, save=save)
    assert [message for *_, message in found(folder)] == expected


def test_another_caller_of_the_restoring_function_is_seen(write_model) -> None:
    again = ("again", "While", ["v", "elsewhere"], {"body": ("func", "restoring")})
    folder = Loader(write_model()).write(restore=["v", "file"], body=RESTORE, more=[again])
    assert [message for *_, message in found(folder)] == [OTHER]


def test_a_long_attribute_does_not_hide_a_call(write_model) -> None:
    folder = Loader(write_model()).write(restore=["v", "file", "^hidden"], body=RESTORE)
    with edit(folder) as model:
        node = model.meta_graphs[0].graph_def.node.add()
        fill_node(node, "hidden", "StatefulPartitionedCall", ["elsewhere"], {"f": ("func", "saving")})
        node.attr["f"].func.attr["padding"].s = b"x" * 100_000
        fill_node(model.meta_graphs[0].graph_def.node.add(), "large", "Const", (), {"value": [b"y" * 100_000]})
    assert [message for *_, message in found(folder)] == [WRITES]


def test_what_is_too_large_to_be_read_is_refused(write_model) -> None:
    folder = write_model(functions={"saving": [("save", "SaveV2")]})
    with edit(folder) as model:
        node = model.meta_graphs[0].graph_def.node.add()
        fill_node(node, "hidden", "StatefulPartitionedCall", ["elsewhere"], {"f": ("func", "saving")})
        node.attr["f"].func.attr["padding"].s = b"x" * (17 << 20)
    what = "it holds StatefulPartitionedCall 'hidden', which is too large to be looked into"
    assert found(folder) == [("TFS601", "the graph", what)]


@pytest.mark.parametrize("op", ["SaveV2", "MergeV2Checkpoints", "RestoreV2", "InitializeTableFromTextFileV2"])
def test_a_signature_does_not_run_ops_of_the_loader(write_model, op: str) -> None:
    folder = write_model(nodes=[X, ("asset", "Const"), ("y", op, ["x", "asset"])], assets=["vocab.txt"])
    ((rule, where, message),) = found(folder)
    assert (rule, where) == ("TFS601", "the graph")
    assert message.startswith(f"it holds {op} 'y', which ")
    assert message.endswith(" when a signature runs")


TABLE = ("fill", "InitializeTableFromTextFileV2", ["table", "read"])
KEPT = [  # TensorFlow 2 keeps the path of an asset in a variable
    *(("asset", "Placeholder"), ("kept", "VarHandleOp"), ("set", "AssignVariableOp", ["kept", "asset"])),
    *(("read", "ReadVariableOp", ["kept", "^set"]), TABLE),
]


@pytest.mark.parametrize(
    ("nodes", "own"),
    [
        ([("asset", "Const"), ("read", "Identity", ["asset"]), TABLE], True),
        ([("other", "Const"), ("read", "Identity", ["other"]), TABLE], False),
        ([("asset", "Const"), ("read", "StringJoin", ["asset"]), TABLE], False),
        (KEPT, True),
        ([*KEPT, ("again", "AssignVariableOp", ["kept", "const"]), ("const", "Const")], False),
        ([*KEPT, ("alias", "VarHandleOp", [], {"shared_name": b"kept"})], False),
        ([*KEPT, ("call", "StatefulPartitionedCall", ["kept"], {"f": ("func", "body")})], False),
    ],
)
def test_tables_are_filled_from_assets(write_model, nodes, own: bool) -> None:
    folder = write_model(
        nodes=[X, ("y", "Identity", ["x"]), *nodes], functions={"body": [("i", "NoOp")]}, assets=["vocab.txt"]
    )
    with edit(folder) as model:
        definition = model.meta_graphs[0].signature_def["__saved_model_init_op"]
        fill_signature(definition, {}, {"init": ("float32", None, "fill")}, "")
    what = f"it holds {TABLE[1]} 'fill', which reads a file that is not an asset of the model"
    assert found(folder) == ([] if own else [("TFS601", "the graph", what)])


def test_a_caller_cannot_name_the_asset(write_model) -> None:
    nodes = [X, ("asset", "Placeholder"), ("table", "HashTableV2"), ("fill", TABLE[1], ["table", "asset"])]
    folder = write_model(nodes=[*nodes, ("y", "Identity", ["x"])], assets=["vocab.txt"])
    with edit(folder) as model:
        definitions = model.meta_graphs[0].signature_def
        fill_signature(definitions["__saved_model_init_op"], {}, {"init": ("float32", None, "fill")}, "")
        fill_signature(
            definitions["feeding"], {"a": ("string", (), "asset:0")}, {"y": ("float32", None)}, PREDICT_METHOD
        )
    assert [rule for rule, *_ in found(folder)] == ["TFS601"]


def test_sizes_and_signatures(write_model) -> None:
    folder = write_model()
    graph = (folder / "saved_model.pb").stat().st_size
    (folder / "assets").mkdir()
    (folder / "assets" / "words").write_bytes(b"a" * 1000)
    fits = Policy("p", "0", max_bytes=graph + 1000, max_graph_bytes=graph, required_signatures=("serving_default",))
    assert found(folder, fits) == []
    small = Policy("p", "0", max_bytes=graph + 999, max_graph_bytes=graph - 1, required_signatures=("score",))
    assert found(folder, small) == [
        ("TFS603", "the version", f"its files have {graph + 1000} bytes together, but the policy allows {graph + 999}"),
        ("TFS604", "saved_model.pb", f"it has {graph} bytes, but the policy allows {graph - 1}"),
        ("TFS605", "signature 'score'", "it is missing; the model has: serving_default"),
    ]


def test_formats(write_model) -> None:
    folder = write_model()
    for name in ("model.tflite", "saved_model.cpb"):
        (folder / name).write_bytes(b"")
    chunked = (
        "TFS606",
        "saved_model.cpb",
        "a model in a format that cannot be looked into, which the policy does not allow",
    )
    lite = ("TFS606", "model.tflite", "it is of the format 'tflite', which the policy does not allow")
    assert found(folder) == [chunked, lite]
    assert found(folder, Policy("p", "0", formats=("saved_model", "tflite"))) == [chunked]


def test_files_outside(write_model, tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_bytes(b"")
    folder = write_model(assets=["../../2/assets/words", "words"])
    (folder / "assets").mkdir()
    (folder / "assets" / "words").symlink_to("real")
    (folder / "assets" / "real").write_bytes(b"")
    (folder / "assets" / "loop").symlink_to(folder)
    (folder / "variables").symlink_to(secret)
    assert found(folder) == [
        ("TFS607", "assets/../../2/assets/words", "the graph reads this file, which is outside of the version"),
        ("TFS607", "variables/file", f"it leads out of the version, to {secret / 'file'}"),
    ]
