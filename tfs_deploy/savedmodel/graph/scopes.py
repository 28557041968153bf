# SPDX-License-Identifier: Apache-2.0
"""The content of a graph: op counts, functions, and what a call of a signature executes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tfs_deploy.savedmodel.graph.features import Parser, is_empty, short_text
from tfs_deploy.savedmodel.graph.ops import BATCH_NORM_OPS, stock_ops
from tfs_deploy.savedmodel.graph.soundness import check_node
from tfs_deploy.savedmodel.graph.unsafe_ops import LOADER_OPS, PATH_ATTRIBUTES, names_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: what ``Scope.flagged`` counts: random ops without a seed and with one, batch normalisation in training mode, calls
#: that XLA must compile, ops that open a file because of an attribute
UNSEEDED: Final = "unseeded"
SEEDED: Final = "seeded"
TRAINING: Final = "training"
COMPILED: Final = "compiled"
NAMES_FILE: Final = "names a file"
#: what jit_compile=True writes on every call of such a function, and TF1's xla.compile on every op inside
#: (tensorflow/compiler/jit/defs.cc, tensorflow/python/compiler/xla/xla.py)
_MUST_COMPILE: Final = "_XlaMustCompile"
_COMPILE_ID: Final = "_xla_compile_id"
#: ops that hand on a value, or keep it in a variable
_PASSES_ON: Final = frozenset({"Identity", "Assign", "AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp"})
#: a device that is not the CPU of the process that runs the graph
_ELSEWHERE: Final = re.compile(
    r"/(device:)?(?!cpu|job|replica|task|device)[a-z_]+:|/job:(?!localhost)|/task:[1-9]", re.IGNORECASE
)
_NOTHING: Final[frozenset[str]] = frozenset()


class Node(NamedTuple):
    """What is kept of a NodeDef: inputs one a line, a flag or nothing, and the functions it calls."""

    op: str
    inputs: str
    flag: str
    calls: frozenset[str]


@dataclass(slots=True)
class Scope:
    """The main graph, a part of it, or one library function; ``examples`` names one node of each op.

    ``links``: of a function, the nodes that pass values on, call functions or open the files of the version.
    """

    name: str = ""
    ops: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    calls: set[str] = field(default_factory=set)
    flagged: Counter[tuple[str, str]] = field(default_factory=Counter)
    texts: dict[str, list[bytes]] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    parsers: list[Parser] = field(default_factory=list)
    arguments: tuple[str, ...] = ()
    links: dict[str, Node] = field(default_factory=dict)

    def count(self, name: str, op: str, flag: str, calls: frozenset[str]) -> None:
        """Count one node."""
        if op not in self.ops:
            self.examples[op] = name
        self.ops[op] += 1
        if flag:
            self.flagged[op, flag] += 1
        if calls:
            self.calls |= calls

    def keep(self, name: str, op: str, node: Any) -> None:
        """Remember what a NodeDef says about parsing tf.Example: the parsers, and the constants that name features."""
        if op == "Const":
            tensor = node.attr["value"].tensor
            if text := short_text(tensor):
                self.texts[name] = text
            elif is_empty(tensor):
                self.empty.add(name)
        elif op.startswith("ParseExample"):
            self.parsers.append(Parser.of(node))


@dataclass(slots=True)
class Graph:
    """The facts of one GraphDef; ``large_constants`` are tensors that live in it instead of the variables.

    ``pinned``: devices other than this machine's CPU that nodes of the main graph ask for, each with one such node;
    ``replaced``: functions of whose names there is a later one; ``handles``: the nodes, also of functions, that hold
    each variable, by the name that they share; ``unread``: ops and names of nodes with parts too large to be read.
    """

    producer: int = 0
    min_consumer: int = 0
    main: Scope = field(default_factory=Scope)
    functions: dict[str, Scope] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    pinned: dict[str, str] = field(default_factory=dict)
    large_constants: int = 0
    large_constant_bytes: int = 0
    replaced: list[Scope] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    handles: dict[str, list[str]] = field(default_factory=dict)
    callees: dict[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    def add_main(self, definition: Any) -> None:
        """Add a NodeDef of the main graph."""
        check_node(definition)
        op, name = definition.op, definition.name
        flag, calls = _flag_and_calls(definition, op)
        if definition.device and _ELSEWHERE.search(definition.device):
            self.pinned.setdefault(definition.device, name)
        self._note_handle(definition)
        self.nodes[name] = Node(op, "\n".join(definition.input), flag, calls)
        self.main.count(name, op, flag, calls)
        self.main.keep(name, op, definition)

    def add_function(self, scope: Scope) -> None:
        """Add a library function; the last one of a name is called by it."""
        before = self.functions.get(scope.name)
        if before is not None and before is not scope:
            self.replaced.append(before)
        self.functions[scope.name] = scope

    def add_to(self, scope: Scope, definition: Any) -> None:
        """Add a NodeDef of a library function."""
        check_node(definition)
        op, name = definition.op, definition.name
        flag, calls = _flag_and_calls(definition, op)
        scope.count(name, op, flag, calls)
        scope.keep(name, op, definition)
        self._note_handle(definition)
        # a TF1 graph calls a function by using its name as an op
        if op == "Identity" or op in LOADER_OPS or calls or op not in stock_ops():
            scope.links[name] = Node(op, "\n".join(definition.input), flag, calls)

    def _note_handle(self, definition: Any) -> None:
        if definition.op == "VarHandleOp":
            shared = definition.attr["shared_name"].s.decode("utf-8", "replace")
            self.handles.setdefault(shared or definition.name, []).append(definition.name)

    def scopes(self) -> Iterator[Scope]:
        """Yield the main graph and all functions."""
        yield self.main
        yield from self.functions.values()
        yield from self.replaced

    @property
    def node_count(self) -> int:
        """Number of nodes in the main graph and all functions."""
        return sum(sum(scope.ops.values()) for scope in self.scopes())

    @property
    def ops(self) -> Counter[str]:
        """Count of every op in the main graph and all functions."""
        total: Counter[str] = Counter()
        for scope in self.scopes():
            total.update(scope.ops)
        return total

    def reachable(self, tensors: Iterable[str], fed: Iterable[str] = ()) -> list[Scope]:
        """Return what computing ``tensors`` (``node:0``) from ``fed`` executes: a part of the main graph, functions."""
        part = Scope(texts=self.main.texts, empty=self.main.empty)
        visited = self.reached_nodes(tensors, fed)
        for name in visited:
            node = self.nodes[name]
            part.count(name, node.op, node.flag, node.calls)
        part.parsers = [parser for parser in self.main.parsers if parser.node in visited]
        return [part, *self._called(part)]

    def reached_nodes(self, tensors: Iterable[str], fed: Iterable[str] = ()) -> dict[str, None]:
        """Return the nodes of the main graph that computing ``tensors`` from ``fed`` executes, in the order found."""
        seen = {_output_name(tensor) for tensor in fed}
        todo = list(map(_output_name, tensors))
        visited: dict[str, None] = {}
        while todo:
            tensor = todo.pop()
            name = node_name(tensor)
            node = self.nodes.get(name)
            if node is None or tensor in seen or name in visited:
                continue
            visited[name] = None
            todo += [_output_name(name) for name in node.inputs.split("\n") if name]
        return visited

    def uses_value(self, tensor: str, nodes: Iterable[str]) -> bool:
        """Tell whether one of these ``nodes`` uses the value of a tensor, rather than passing or storing it."""
        ordered = list(nodes)
        carriers = {node_name(tensor)}
        while True:
            before = len(carriers)
            for name in ordered:
                node = self.nodes[name]
                given = [node_name(each) for each in node.inputs.split("\n") if each and not each.startswith("^")]
                if name in carriers or carriers.isdisjoint(given):
                    continue
                if node.op not in _PASSES_ON:
                    return True
                carriers |= {name, *given[:1]} if node.op.startswith("Assign") else {name}
            if len(carriers) == before:
                return False

    def _called(self, scope: Scope) -> list[Scope]:
        found: set[str] = set()
        todo = [self._callees(scope)]
        while todo:
            names = todo.pop() - found
            found |= names
            todo += [self._called_by(name) for name in names]
        return [self.functions[name] for name in sorted(found)]

    def _called_by(self, name: str) -> frozenset[str]:
        if name not in self.callees:
            self.callees[name] = self._callees(self.functions[name])
        return self.callees[name]

    def _callees(self, scope: Scope) -> frozenset[str]:
        # A TF1 graph calls a function by using its name as an op.
        return frozenset((scope.calls | scope.ops.keys()) & self.functions.keys())


def node_name(tensor: str) -> str:
    """Return the node of a tensor's name: ``^a``, ``a:0`` and, in functions, ``a:output:0`` are node ``a``."""
    return tensor.removeprefix("^").partition(":")[0]


def _output_name(tensor: str) -> str:
    """Return a tensor's full name: ``a`` is ``a:0``."""
    return tensor if ":" in tensor or tensor.startswith("^") else f"{tensor}:0"


def _flag_and_calls(node: Any, op: str) -> tuple[str, frozenset[str]]:
    if op in PATH_ATTRIBUTES and names_file(op, node.attr[PATH_ATTRIBUTES[op][0]].s):
        return NAMES_FILE, _NOTHING
    letters = stock_ops().get(op)
    compiled = COMPILED if _is_compiled(node) else ""
    if letters is None or "f" in letters:
        return compiled, _functions_of(node)
    if compiled:
        return compiled, _NOTHING
    if "r" in letters:
        return SEEDED if node.attr["seed"].i or node.attr["seed2"].i else UNSEEDED, _NOTHING
    # The attribute is true unless written down otherwise.
    if op in BATCH_NORM_OPS and ("is_training" not in node.attr or node.attr["is_training"].b):
        return TRAINING, _NOTHING
    return "", _NOTHING


def _is_compiled(node: Any) -> bool:
    attributes = node.attr
    return _COMPILE_ID in attributes or (_MUST_COMPILE in attributes and bool(attributes[_MUST_COMPILE].b))


def _functions_of(node: Any) -> frozenset[str]:
    found = set()
    for value in node.attr.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            found.add(value.func.name)
        elif kind == "list" and value.list.func:
            found |= {function.name for function in value.list.func}
    return frozenset(found)
