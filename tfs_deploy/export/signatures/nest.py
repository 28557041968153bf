# SPDX-License-Identifier: Apache-2.0
"""Nests of arguments and results: dicts, lists and tuples around leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

#: the keys and positions that lead to a leaf
NestPath: TypeAlias = "tuple[str | int, ...]"


def leaves(nest: Any, path: NestPath = ()) -> list[tuple[NestPath, Any]]:
    """List the leaves with their paths in the order of TensorFlow and Keras: dicts by sorted key (tf.nest)."""
    if isinstance(nest, Mapping):
        return [leaf for key in sorted(nest) for leaf in leaves(nest[key], (*path, key))]
    if isinstance(nest, (list, tuple)):
        return [leaf for position, value in enumerate(nest) for leaf in leaves(value, (*path, position))]
    return [(path, nest)]


def fill(nest: Any, values: Iterator[Any]) -> Any:
    """Return the nest with new leaves, in the order of ``leaves``."""
    if isinstance(nest, Mapping):
        filled = {key: fill(nest[key], values) for key in sorted(nest)}
        return {key: filled[key] for key in nest}
    if isinstance(nest, (list, tuple)):
        return _like(nest, [fill(value, values) for value in nest])
    return next(values)


def place(nest: Any, values: Mapping[NestPath, Any], path: NestPath = ()) -> Any:
    """Return the nest with the leaves at some paths replaced."""
    if isinstance(nest, Mapping):
        return {key: place(value, values, (*path, key)) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        return _like(nest, [place(value, values, (*path, position)) for position, value in enumerate(nest)])
    return values.get(path, nest)


def path_text(path: NestPath) -> str:
    """Return a path as Python writes it: ``features[user][0]``."""
    first, *rest = path
    return f"{first}{''.join(f'[{step}]' for step in rest)}"


def _like(nest: Any, values: list[Any]) -> Any:
    if hasattr(nest, "_fields"):
        return type(nest)(*values)
    return tuple(values) if isinstance(nest, tuple) else values
