# SPDX-License-Identifier: Apache-2.0
"""Read saved_model.pb into plain facts, without holding it in memory."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.errors import ModelError, file_hint
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.protos.signatures import signature_infos
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.formats.wire import FileReader, LongField, WireError, read_fields
from tfs_deploy.savedmodel.graph.scopes import Graph, Scope
from tfs_deploy.savedmodel.graph.unsafe_ops import PATH_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tfs_deploy.protos.signatures import SignatureInfo

#: fields of a MetaGraphDef that are not read whole if they are long: graph_def, object_graph_def
_PARTLY_IN_META_GRAPH = {2, 7}
#: fields of a NodeDef and of an AttrValue: a map's entry, and a tensor or a text
_ATTRIBUTE, _VALUE = 5, 2
_TENSOR, _TEXT = 8, 2
#: bytes of the longest part of a node that is read whole: what names functions is a few hundred
_MOST_READ = 16 << 20
#: collections of TF1 that name an op which runs when the model is loaded
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
#: the collection in which TF1 keeps what later became the field asset_file_def
_ASSET_COLLECTION = "saved_model_assets"


@dataclass(slots=True)
class MetaGraphFacts:
    """One MetaGraphDef: who wrote it for what, its signatures, assets (file name -> a tensor) and graph.

    ``asset_tensors``: all tensors into which the server feeds the path of an asset.

    ``restore_op`` restores the variables when the model is loaded, from the file that the tensor ``checkpoint_name``
    names.
    """

    tags: list[str] = field(default_factory=list)
    tensorflow_version: str = ""
    signature_defs: dict[str, Any] = field(default_factory=dict)
    assets: dict[str, str] = field(default_factory=dict)
    asset_tensors: set[str] = field(default_factory=set)
    init_ops: list[str] = field(default_factory=list)
    restore_op: str = ""
    checkpoint_name: str = ""
    graph: Graph = field(default_factory=Graph)

    @property
    def signatures(self) -> dict[str, SignatureInfo]:
        """The signatures that a client can call."""
        return signature_infos(self.signature_defs)


def graph_file(version_dir: Path) -> Path:
    """Return the file that a server reads the graph from: the text form only where there is no binary one."""
    text = version_dir / layout.SAVED_MODEL_TEXT
    binary = version_dir / layout.SAVED_MODEL
    return text if text.is_file() and not binary.exists() else binary


def read_text(path: Path) -> Any:
    """Read a ``saved_model.pbtxt`` as a SavedModel message; raises ``ModelError``."""
    from google.protobuf import text_format

    try:
        return protos.parse_text(read_regular(path).decode("utf-8"), protos.SavedModel(), allow_unknown=True)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is damaged or not a SavedModel: {error}", hint=_AGAIN) from error


def scan_saved_model(path: Path) -> list[MetaGraphFacts]:
    """Read all meta graphs of a ``saved_model.pb`` or ``saved_model.pbtxt``.

    Raises:
        ModelError: the file is missing, empty, damaged or holds no meta graph.
    """
    from google.protobuf.message import DecodeError

    if path.name == layout.SAVED_MODEL_TEXT:
        found = [_facts(message) for message in _few(path, read_text(path).meta_graphs)]
        if not found:
            raise _no_meta_graph(path)
        return found
    try:
        with FileReader(path) as reader:
            if reader.size == 0:
                raise ModelError(f"{path} is empty", hint=_AGAIN)
            found = list(_few(path, _meta_graphs(reader)))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    except (WireError, DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is damaged or not a SavedModel: {error}", hint=_AGAIN) from error
    if not found:
        raise _no_meta_graph(path)
    return found


def _few(path: Path, meta_graphs: Iterable[Any]) -> Iterator[Any]:
    """Pass meta graphs on; raises ``ModelError`` for more than any model has: two bytes of a file are one."""
    for number, meta_graph in enumerate(meta_graphs):
        if number == _MOST_META_GRAPHS:
            raise ModelError(f"{path} holds more than {_MOST_META_GRAPHS} meta graphs", hint=_AGAIN)
        yield meta_graph


def _no_meta_graph(path: Path) -> ModelError:
    return ModelError(f"{path} holds no meta graph, so there is nothing to serve", hint=_AGAIN)


_AGAIN = "copy or export the version again; the server refuses to load it"


#: a model has one for each set of tags
_MOST_META_GRAPHS = 1000


def _meta_graphs(reader: FileReader) -> Iterator[MetaGraphFacts]:
    for piece in read_fields(reader, 0, reader.size):
        if isinstance(piece, LongField):
            if piece.number == 2:
                yield _meta_graph(reader, piece)
            continue
        yield from map(_facts, protos.SavedModel.FromString(piece).meta_graphs)


def _facts(message: Any) -> MetaGraphFacts:
    facts = MetaGraphFacts()
    _add_meta_graph(facts, message)
    return facts


def _meta_graph(reader: FileReader, place: LongField) -> MetaGraphFacts:
    facts = MetaGraphFacts()
    for piece in read_fields(reader, place.start, place.stop):
        if not isinstance(piece, LongField):
            _add_meta_graph(facts, protos.MetaGraphDef.FromString(piece))
        elif piece.number == 2:
            _graph(facts.graph, reader, piece)
        elif piece.number not in _PARTLY_IN_META_GRAPH:
            _add_meta_graph(facts, protos.MetaGraphDef.FromString(reader.read(piece.tag, piece.stop)))
    return facts


def _add_meta_graph(facts: MetaGraphFacts, part: Any) -> None:
    facts.tags += part.meta_info_def.tags
    facts.tensorflow_version = part.meta_info_def.tensorflow_version or facts.tensorflow_version
    facts.signature_defs.update(part.signature_def)
    facts.assets.update({asset.filename: asset.tensor_info.name for asset in part.asset_file_def})
    facts.asset_tensors |= {asset.tensor_info.name for asset in part.asset_file_def}
    if _ASSET_COLLECTION in part.collection_def:
        for packed in part.collection_def[_ASSET_COLLECTION].any_list.value:
            asset = protos.AssetFileDef.FromString(packed.value)
            facts.assets.setdefault(asset.filename, asset.tensor_info.name)
            facts.asset_tensors.add(asset.tensor_info.name)
    for name in _INIT_COLLECTIONS:
        if name in part.collection_def:
            facts.init_ops += part.collection_def[name].node_list.value
    if part.HasField("saver_def"):
        facts.restore_op = part.saver_def.restore_op_name or facts.restore_op
        facts.checkpoint_name = part.saver_def.filename_tensor_name or facts.checkpoint_name
    if part.HasField("graph_def"):
        _add_graph(facts.graph, part.graph_def)


def _graph(graph: Graph, reader: FileReader, place: LongField) -> None:
    for piece in read_fields(reader, place.start, place.stop):
        if not isinstance(piece, LongField):
            _add_graph(graph, protos.GraphDef.FromString(piece))
        elif piece.number == 1:
            node = _node(graph, reader, piece)
            graph.add_main(node)
            _note_size(graph, node, piece)
        elif piece.number == 2:
            _library(graph, reader, piece)


def _add_graph(graph: Graph, part: Any) -> None:
    if part.HasField("versions"):
        graph.producer, graph.min_consumer = part.versions.producer, part.versions.min_consumer
    for node in part.node:
        graph.add_main(node)
    for function in part.library.function:
        _add_function(graph, Scope(), function)


def _library(graph: Graph, reader: FileReader, place: LongField) -> None:
    for piece in read_fields(reader, place.start, place.stop):
        if not isinstance(piece, LongField):
            for function in protos.FunctionDefLibrary.FromString(piece).function:
                _add_function(graph, Scope(), function)
        elif piece.number == 1:
            _function(graph, reader, piece)


def _function(graph: Graph, reader: FileReader, place: LongField) -> None:
    scope = Scope()
    for piece in read_fields(reader, place.start, place.stop):
        if not isinstance(piece, LongField):
            _add_function(graph, scope, protos.FunctionDef.FromString(piece))
        elif piece.number == 1:
            _add_function(graph, scope, protos.FunctionDef.FromString(reader.read(piece.tag, piece.stop)))
        elif piece.number == 3:
            node = _node(graph, reader, piece)
            graph.add_to(scope, node)
            _note_size(graph, node, piece)


def _add_function(graph: Graph, scope: Scope, part: Any) -> None:
    if part.signature.name:
        scope.name = part.signature.name
        scope.arguments = tuple(argument.name for argument in part.signature.input_arg)
        graph.add_function(scope)
    for node in part.node_def:
        graph.add_to(scope, node)


def _note_size(graph: Graph, node: Any, place: LongField) -> None:
    if node.op == "Const":
        graph.large_constants += 1
        graph.large_constant_bytes += place.stop - place.start


def _node(graph: Graph, reader: FileReader, place: LongField) -> Any:
    """Read a NodeDef without its long attributes that are tensors or texts, which say nothing about what it runs.

    ``graph.unread`` gets the node if something else in it is too large to be read.
    """
    node = protos.NodeDef()
    complete = True
    for piece in read_fields(reader, place.start, place.stop):
        if not isinstance(piece, LongField):
            node.MergeFromString(piece)
        elif piece.number == _ATTRIBUTE and _holds_data(reader, piece):
            continue
        elif piece.stop - piece.tag <= _MOST_READ:
            node.MergeFromString(reader.read(piece.tag, piece.stop))
        else:
            complete = False
    if complete and node.op in PATH_ATTRIBUTES and (complete := place.stop - place.start <= _MOST_READ):
        node.ParseFromString(reader.read(place.start, place.stop))
    if not complete:
        graph.unread.append((node.op, node.name))
    return node


def _holds_data(reader: FileReader, attribute: LongField) -> bool:
    """Tell whether a long attribute of a node is one tensor or text, and neither a list nor a function."""
    *before, value = itertools.islice(read_fields(reader, attribute.start, attribute.stop), 2)
    if not isinstance(value, LongField) or value.number != _VALUE or value.stop != attribute.stop:
        return False
    if before and isinstance(before[0], LongField):
        return False
    kind = next(read_fields(reader, value.start, value.stop))
    return isinstance(kind, LongField) and kind.number in (_TENSOR, _TEXT) and kind.stop == value.stop
