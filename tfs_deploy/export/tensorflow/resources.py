# SPDX-License-Identifier: Apache-2.0
"""The variables and lookup tables that must be saved with traced functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def holder_of(functions: Sequence[Any], more: Iterable[Any] = ()) -> Any:
    """Return a ``tf.Module`` that tracks all that the functions need, and nothing else.

    ``more``: resources that no function captures, such as the initializer of the tables of a TensorFlow 1 graph.

    Saving the model object itself would also save optimizer slots and every function it ever traced.
    """
    import tensorflow as tf

    holder = tf.Module()
    for name, variable in _named(_variables(functions)):
        setattr(holder, name, variable)
    # Resources have no stable names of their own; their order is that of the functions that use them.
    for number, resource in enumerate([*_tables(functions), *more]):
        setattr(holder, f"resource_{number}", resource)
    return holder


def _variables(functions: Iterable[Any]) -> list[Any]:
    found: dict[int, Any] = {}
    for function in functions:
        for variable in function.variables:
            found.setdefault(id(variable), variable)
    # A function knows its variables in an order that changes from process to process; the files should not.
    return sorted(found.values(), key=lambda variable: str(variable.name))


def _named(variables: Iterable[Any]) -> Iterable[tuple[str, Any]]:
    """Give each variable its own name as attribute, so that a checkpoint reader recognizes it."""
    taken: set[str] = set()
    for variable in variables:
        base = re.sub(r":\d+$", "", variable.name) or "variable"
        name, number = f"variables/{base}", 0
        while name in taken:
            number += 1
            name = f"variables/{base}_{number}"
        taken.add(name)
        yield name, variable


def _tables(functions: Sequence[Any]) -> list[Any]:
    """Return the objects behind captured handles other than variables: lookup tables, with their assets.

    A handle knows the object that made it (``CapturableResource``); a function only knows its handles.
    """
    found: dict[int, Any] = {}
    for function in functions:
        for handle in function.captured_inputs:
            parent = getattr(handle, "_parent_trackable", None)
            owner = None if parent is None else parent()
            if owner is not None:
                found.setdefault(id(owner), owner)
    return list(found.values())
