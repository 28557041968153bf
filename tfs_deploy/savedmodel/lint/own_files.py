# SPDX-License-Identifier: Apache-2.0
"""Where the ops of the loader stand, and whether they open the version's own files only.

Every SavedModel holds ops that write checkpoints (its saver), restore variables and fill tables. They are harmless
where TensorFlow put them: nothing a server runs reaches the first, and the others read the path that the server feeds
when it loads the model (``LoadSavedModel``: the variables' prefix into ``filename_tensor_name``, each asset's path into
its tensor). Anywhere else the path is whatever the graph says.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from tfs_deploy.savedmodel.graph.scopes import node_name
from tfs_deploy.savedmodel.graph.unsafe_ops import LOADER_OPS, RESTORING_OPS, SAVING_OPS, TABLE_OPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfs_deploy.savedmodel.graph.scan import MetaGraphFacts
    from tfs_deploy.savedmodel.graph.scopes import Node, Scope

#: ops that call a function always, with their inputs
_CALLS: Final = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
#: ops that leave a variable as it is, or are traced
_USES: Final = frozenset({"AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp"})
#: what the server runs when it loads the model; clients can ask for every other signature by its name
_INIT: Final = "__saved_model_init_op"


class Misplaced(NamedTuple):
    """An op of the loader that opens other files: the node, its function ('' for the main graph), and what it does."""

    op: str
    node: str
    function: str
    what: str


class _Reach:
    """What computing some tensors of the main graph runs."""

    def __init__(self, facts: MetaGraphFacts, tensors: Iterable[str]) -> None:
        # whatever is fed: a value that the caller leaves out is computed
        names = list(tensors)
        self._nodes = facts.graph.reached_nodes(names).keys()
        self._functions = {scope.name for scope in facts.graph.reachable(names)[1:]}

    def runs(self, function: str, node: str) -> bool:
        return function in self._functions if function else node in self._nodes


class OwnFiles:
    """The ops of the loader in one meta graph."""

    def __init__(self, facts: MetaGraphFacts) -> None:
        self._graph = facts.graph
        requested = [definition for name, definition in facts.signature_defs.items() if name != _INIT]
        init = [facts.signature_defs[_INIT]] if _INIT in facts.signature_defs else []
        fed = {node_name(info.name) for each in (*requested, *init) for info in each.inputs.values()}
        self._checkpoint = {node_name(facts.checkpoint_name)} - fed
        self._assets = {node_name(tensor) for tensor in facts.asset_tensors} - fed
        self._requests = _Reach(facts, (info.name for each in requested for info in each.outputs.values()))
        run_at_load = [info.name for each in init for info in each.outputs.values()]
        self._load = _Reach(facts, [*run_at_load, *facts.init_ops])
        self._restore = _Reach(facts, [facts.restore_op] if facts.restore_op else [])

    def misplaced(self) -> Iterator[Misplaced]:
        """Yield every op of the loader that opens files other than the version's own."""
        for scope in self._graph.replaced:
            for op in sorted(LOADER_OPS & scope.ops.keys()):
                yield Misplaced(op, scope.examples[op], scope.name, "stands in a function of whose name there are two")
        for function, name, node in self._loader_nodes():
            if what := self._what(function, name, node):
                yield Misplaced(node.op, name, function, what)

    def _loader_nodes(self) -> Iterator[tuple[str, str, Node]]:
        for function, nodes in self._nodes_by_function():
            yield from ((function, name, node) for name, node in nodes.items() if node.op in LOADER_OPS)

    def _nodes_by_function(self) -> Iterator[tuple[str, dict[str, Node]]]:
        yield "", self._graph.nodes
        yield from ((scope.name, scope.links) for scope in self._graph.functions.values())

    def _what(self, function: str, name: str, node: Node) -> str:
        by_request, at_load, restoring = (
            reach.runs(function, name) for reach in (self._requests, self._load, self._restore)
        )
        when = "a signature runs" if by_request else "loading the model runs"
        if node.op in SAVING_OPS:
            return f"writes files when {when}" if by_request or at_load or restoring else ""
        if node.op in RESTORING_OPS:
            if by_request or at_load:
                return f"reads a checkpoint that the graph names when {when}"
            own = not restoring or self._is_fed(function, _input(node, RESTORING_OPS[node.op]), self._checkpoint)
            return "" if own else "reads another checkpoint than the version's own variables"
        if by_request:
            return f"reads a file that the graph names when {when}"
        own = not (at_load or restoring) or self._is_fed(function, _input(node, TABLE_OPS[node.op]), self._assets)
        return "" if own else "reads a file that is not an asset of the model"

    @cached_property
    def _callers(self) -> dict[str, list[tuple[str, Node]]]:
        """The nodes that call each function, with the functions that they are in."""
        found: dict[str, list[tuple[str, Node]]] = {}
        for function, nodes in self._nodes_by_function():
            for node in nodes.values():
                for called in {*node.calls, node.op} & self._graph.functions.keys():
                    found.setdefault(called, []).append((function, node))
        return found

    def _is_fed(self, function: str, tensor: str, fed: set[str]) -> bool:
        """Tell whether a tensor is one of those that are ``fed`` to the main graph, passed on unchanged."""
        todo, seen = [(function, tensor)], set()
        while todo:
            place, name = todo.pop()
            if (place, name) in seen:
                continue
            seen.add((place, name))
            before = self._before(place, name, fed)
            if before is None:
                return False
            todo += before
        return True

    def _before(self, function: str, tensor: str, fed: set[str]) -> list[tuple[str, str]] | None:
        """Return where the value of a tensor comes from: nothing if it is fed, ``None`` if it is computed."""
        name = node_name(tensor)
        if not function and name in fed:
            return []
        scope: Scope | None = self._graph.functions.get(function)
        if scope is not None and tensor in scope.arguments:
            return self._passed(function, scope.arguments.index(tensor))
        node = (self._graph.nodes if scope is None else scope.links).get(name)
        if node is not None and node.op == "ReadVariableOp":
            return self._assigned(node_name(_input(node, 0)))
        return [(function, _input(node, 0))] if node is not None and node.op == "Identity" else None

    def _assigned(self, handle: str) -> list[tuple[str, str]] | None:
        """Return what is assigned to a variable of the main graph; ``None`` if that cannot be told.

        TensorFlow 2 keeps the path of an asset in a variable, which it assigns when the model is loaded.
        """
        users = [node for node in self._graph.nodes.values() if handle in map(node_name, node.inputs.split("\n"))]
        values = [("", _input(node, 1)) for node in users if node.op == "AssignVariableOp"]
        alone = [handle] in self._graph.handles.values()
        return values if values and alone and all(node.op in _USES for node in users) else None

    def _passed(self, function: str, position: int) -> list[tuple[str, str]] | None:
        """Return what the callers of a function pass for an argument; ``None`` if one of them does so otherwise."""
        found = []
        for place, node in self._callers.get(function, []):
            if node.op != function and node.op not in _CALLS:
                return None
            found.append((place, _input(node, position)))
        return found


def _input(node: Node, position: int) -> str:
    """Return the name of an input, empty if there are not so many."""
    inputs = [name for name in node.inputs.split("\n") if not name.startswith("^")]
    return inputs[position] if position < len(inputs) else ""
