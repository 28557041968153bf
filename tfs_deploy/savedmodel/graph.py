"""What a graph is made of: op counts, functions, and which ops the signatures reach."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Scope:
    """The main graph or one library function: its ops, one node's name for each, and the functions it calls."""

    name: str = ""
    ops: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    calls: set[str] = field(default_factory=set)
    unseeded: Counter[str] = field(default_factory=Counter)

    def add(self, node: Any) -> set[str]:
        """Count one NodeDef and return the functions that its attributes name."""
        op = node.op
        self.ops[op] += 1
        self.examples.setdefault(op, node.name)
        calls = _functions_of(node)
        self.calls |= calls
        return calls


@dataclass(slots=True)
class Graph:
    """The facts of one GraphDef; ``edges`` (main graph only) maps a node to its op, inputs and functions called."""

    producer: int = 0
    min_consumer: int = 0
    main: Scope = field(default_factory=Scope)
    functions: dict[str, Scope] = field(default_factory=dict)
    edges: dict[str, tuple[str, str, frozenset[str]]] = field(default_factory=dict)
    constant_bytes: int = 0

    @property
    def nodes(self) -> int:
        """Number of nodes in the main graph and all functions."""
        return sum(scope.ops.total() for scope in (self.main, *self.functions.values()))

    @property
    def ops(self) -> Counter[str]:
        """Count of every op in the main graph and all functions."""
        total: Counter[str] = Counter(self.main.ops)
        for scope in self.functions.values():
            total.update(scope.ops)
        return total

    def reachable(self, tensors: Iterable[str]) -> list[Scope]:
        """Return what running ``tensors`` (names like ``node:0``) executes: a part of the main graph, and functions."""
        main = Scope()
        seen: set[str] = set()
        todo = [_node_name(tensor) for tensor in tensors]
        while todo:
            name = todo.pop()
            if name in seen or name not in self.edges:
                continue
            seen.add(name)
            op, inputs, calls = self.edges[name]
            main.ops[op] += 1
            main.examples.setdefault(op, name)
            main.calls |= calls
            todo += [_node_name(tensor) for tensor in inputs.split("\n") if tensor]
        return [main, *self._called(main)]

    def _called(self, scope: Scope) -> list[Scope]:
        found: dict[str, Scope] = {}
        todo = [scope]
        while todo:
            current = todo.pop()
            names = current.calls | (current.ops.keys() & self.functions.keys())
            for name in names - found.keys():
                if name in self.functions:
                    found[name] = self.functions[name]
                    todo.append(self.functions[name])
        return [found[name] for name in sorted(found)]


def _functions_of(node: Any) -> set[str]:
    found = set()
    for value in node.attr.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            found.add(value.func.name)
        elif kind == "list" and value.list.func:
            found |= {function.name for function in value.list.func}
    return found


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
