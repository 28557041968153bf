# SPDX-License-Identifier: Apache-2.0
"""Pass the named inputs of a signature to a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tfs_deploy.errors import UsageError

#: takes tensors by input name
NamedCall: TypeAlias = Callable[[Mapping[str, Any]], Any]
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Return the parameters of a function, ``None`` if Python does not know them (some built-in functions)."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def pass_inputs(
    signature: str,
    function: Callable[..., Any],
    names: Sequence[str],
    parameters: Sequence[inspect.Parameter] | None = None,
) -> NamedCall:
    """Return a call that passes inputs by keyword, in order, or as one dict.

    Inputs are passed in order only if no parameter has the name of one, and only to the parameters that the function
    requires: an optional one, such as ``mask=None``, is reached by its name alone.

    Args:
        signature: for messages.
        function: what is called.
        names: of the inputs.
        parameters: those of the function that it passes its arguments on to.

    Raises:
        UsageError: none of the three fits.
    """
    found = parameters if parameters is not None else parameters_of(function)
    if found is None:
        return lambda inputs: function(*(inputs[name] for name in names))
    if takes_keywords(found, names):
        return lambda inputs: function(**{name: inputs[name] for name in names})
    required = [p for p in found if p.default is p.empty and p.kind not in _VARIADIC]
    if {p.name for p in found}.isdisjoint(names) and all(p.kind in _POSITIONAL for p in required):
        if len(required) == len(names) or _takes_rest(found, len(required), len(names)):
            return lambda inputs: function(*(inputs[name] for name in names))
        if len(required) == 1:
            return lambda inputs: function({name: inputs[name] for name in names})
        if not required and len(names) == 1 and any(p.kind in _POSITIONAL for p in found):
            return lambda inputs: function(inputs[names[0]])
    takes = ", ".join(p.name for p in found) or "nothing"
    raise UsageError(
        f"Signature {signature!r}: the function takes ({takes}), but the inputs are ({', '.join(names)})",
        hint="give the inputs the names of the function's parameters",
    )


def _takes_rest(parameters: Sequence[inspect.Parameter], required: int, given: int) -> bool:
    """Tell whether further inputs go into ``*args``, with no optional parameter before it."""
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    endless = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return endless and len(positional) == required <= given


def takes_keywords(parameters: Sequence[inspect.Parameter], names: Sequence[str]) -> bool:
    """Tell whether inputs can all be passed by keyword, and are all that the function requires."""
    by_name = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    required = {p.name for p in parameters if p.default is p.empty and p.kind not in _VARIADIC}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return required.issubset(names) and required <= by_name and (takes_any or by_name.issuperset(names))
