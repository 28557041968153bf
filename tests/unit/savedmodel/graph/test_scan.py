# SPDX-License-Identifier: Apache-2.0
"""saved_model.pb read in read_fields says the same as saved_model.pb read whole."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import protos
from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.formats import wire
from tfs_deploy.savedmodel.formats.wire import FileReader, LongField, WireError, read_fields
from tfs_deploy.savedmodel.graph.scan import scan_saved_model


def facts(path):
    """Everything that is scanned, but what is called large, which depends on the window."""
    return [
        (
            found.tags,
            found.tensorflow_version,
            found.signatures,
            found.assets,
            found.init_ops,
            found.graph.producer,
            found.graph.main,
            found.graph.functions,
            found.graph.nodes,
        )
        for found in scan_saved_model(path)
    ]


@pytest.mark.parametrize("window", [4500, 9000, 20_000])
def test_the_window_does_not_matter(real_model, window: int, monkeypatch) -> None:
    whole = facts(real_model / "saved_model.pb")
    monkeypatch.setattr(wire, "WINDOW", window)
    in_pieces = facts(real_model / "saved_model.pb")
    assert in_pieces == whole


def test_ops_and_signatures_are_those_of_the_message(real_model) -> None:
    (meta,) = protos.SavedModel.FromString((real_model / "saved_model.pb").read_bytes()).meta_graphs
    (found,) = scan_saved_model(real_model / "saved_model.pb")
    ops = Counter(node.op for node in meta.graph_def.node)
    for function in meta.graph_def.library.function:
        ops.update(node.op for node in function.node_def)
    assert found.graph.ops == ops
    assert found.graph.node_count == sum(ops.values())
    assert set(found.graph.functions) == {f.signature.name for f in meta.graph_def.library.function}
    assert set(found.graph.nodes) == {node.name for node in meta.graph_def.node}
    assert found.graph.producer == meta.graph_def.versions.producer
    assert list(found.tags) == list(meta.meta_info_def.tags)
    assert set(found.signatures) == set(meta.signature_def) - {"__saved_model_init_op", "__saved_model_train_op"}


def test_long_tensors_are_counted_but_not_read(write_model) -> None:
    folder = write_model(nodes=[("w", "Const"), ("x", "Placeholder"), ("y", "MatMul", ["x", "w"])])
    model = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    model.meta_graphs[0].graph_def.node[0].attr["value"].tensor.tensor_content = bytes(300_000)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    (found,) = scan_saved_model(folder / "saved_model.pb")
    assert found.graph.large_constants == 1
    assert 300_000 < found.graph.large_constant_bytes < 300_100
    assert found.graph.nodes["y"].inputs == "x\nw"


def test_a_gigabyte_of_tensor_is_skipped(write_model) -> None:
    """A sparse file, whose gigabyte could be neither held nor parsed in the time a test has."""
    folder = write_model()
    path = folder / "saved_model.pb"
    node = protos.NodeDef(name="w", op="Const").SerializeToString()
    length = (1 << 30) + 5
    value = b"\x2a" + varint(length)  # NodeDef.attr, as long as it says
    node_field = b"\x0a" + varint(len(node) + len(value) + length) + node + value
    graph = b"\x12" + varint(len(node_field) + length) + node_field
    meta = b"\x12" + varint(len(graph) + length) + graph
    path.write_bytes(meta)
    with path.open("r+b") as file:
        file.truncate(len(meta) + length)
    (found,) = scan_saved_model(path)
    assert found.graph.nodes["w"].op == "Const"
    assert found.graph.large_constant_bytes > length


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@given(
    fields=st.lists(
        st.one_of(
            st.tuples(st.integers(1, 3000), st.binary(max_size=300)),
            st.tuples(st.integers(1, 3000), st.integers(0, 2**64 - 1)),
        ),
        max_size=20,
    ),
    window=st.integers(40, 400),
)
def test_pieces_are_the_message(fields, window: int, tmp_path_factory) -> None:
    data = b"".join(
        varint(number << 3 | 2) + varint(len(value)) + value
        if isinstance(value, bytes)
        else varint(number << 3) + varint(value)
        for number, value in fields
    )
    path = tmp_path_factory.getbasetemp() / "fields"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch, FileReader(path) as source:
        patch.setattr(wire, "WINDOW", window)
        parts = [data[p.tag : p.stop] if isinstance(p, LongField) else p for p in read_fields(source, 0, len(data))]
    assert b"".join(parts) == data


@given(data=st.binary(max_size=200), window=st.integers(20, 100))
def test_any_bytes_end_in_pieces_or_an_error(data: bytes, window: int, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch, FileReader(path) as source:
        patch.setattr(wire, "WINDOW", window)
        try:
            parts = [data[p.tag : p.stop] if isinstance(p, LongField) else p for p in read_fields(source, 0, len(data))]
        except WireError:
            return
    assert b"".join(parts) == data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x08\x01", "holds no meta graph"),
        (b"not a protobuf", "is damaged or not a SavedModel"),
        (b"\x12\x05ab", "is damaged or not a SavedModel"),
        (b"\x12" + b"\xff" * 20, "is damaged or not a SavedModel"),
        (b"\x12\x02\x0a\x7f", "is damaged or not a SavedModel"),
        (b"\x12" + varint(10**15) + b"abc", "is damaged or not a SavedModel"),
        (b"PK\x03\x04" + bytes(1000), "is damaged or not a SavedModel"),
    ],
)
def test_files_that_are_no_model_are_named(tmp_path, content: bytes, message: str) -> None:
    path = tmp_path / "saved_model.pb"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        scan_saved_model(path)
    assert caught.value.message.startswith(str(path))
    assert caught.value.hint


def test_every_cut_of_a_real_file_is_an_error(copy_model) -> None:
    path = copy_model("saved_model_half_plus_three/00000123") / "saved_model.pb"
    data = path.read_bytes()
    for length in range(1, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError):
            scan_saved_model(path)
