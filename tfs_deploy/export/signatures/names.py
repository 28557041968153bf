# SPDX-License-Identifier: Apache-2.0
"""Names of inputs and outputs: which are refused, and what to write instead."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.protos.signatures import TensorSpec, argument_name
from tfs_deploy.text import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: names that TensorFlow and Keras generate for unnamed tensors; they change from one export to the next
_GENERATED: Final = re.compile(
    r"(output|args|unknown)_\d+|(keras_tensor|input_layer|StatefulPartitionedCall)(_\d+)*|.+:\d+"
)
#: the names of nodes that TensorFlow keeps as they are (ops.py, _VALID_OP_NAME_REGEX)
_TRACEABLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")


def is_generated(name: str) -> bool:
    """Tell whether a name is one that TensorFlow or Keras generates (``output_0``, ``keras_tensor_3``)."""
    return _GENERATED.fullmatch(name) is not None


def check_name(signature: str, role: str, name: object) -> str:
    """Return the name of an ``input`` or ``output``; raises ``UsageError`` if it is missing or generated."""
    if not isinstance(name, str) or not name:
        raise UsageError(
            f"Signature {signature!r}: an {role} name must be a non-empty string, not {name!r}",
            hint=naming_hint(signature, role),
        )
    if is_generated(name):
        raise UsageError(
            f"Signature {signature!r}: TensorFlow generates the {role} name {name!r}, so it may change",
            hint=naming_hint(signature, role),
        )
    return name


def check_traced_inputs(signature: str, names: Iterable[str]) -> dict[str, str]:
    """Return the names of the inputs of a traced signature, with what they are called as arguments of its function.

    Raises ``UsageError`` for names that ``tf.saved_model.save`` would rewrite, or that are one name as arguments.
    """
    arguments: dict[str, str] = {}
    for name in names:
        checked = check_name(signature, "input", name)
        if _TRACEABLE.fullmatch(checked) is None or keyword.iskeyword(checked) or checked == "self":
            better = re.sub(r"\W", "_", checked, flags=re.ASCII).lstrip("_0123456789")
            better = f"{better}_" if keyword.iskeyword(better) or better == "self" else better
            raise UsageError(
                f"Signature {signature!r}: {checked!r} cannot be an input name, TensorFlow would rename it silently",
                hint=f"name it {better or 'x'!r}: letters, digits and _ . - /, not a Python keyword",
            )
        argument = argument_name(checked)
        if argument in arguments:
            raise UsageError(
                f"Signature {signature!r}: the inputs {arguments[argument]!r} and {checked!r} are one name for "
                f"TensorFlow ({argument})",
                hint="rename one of them",
            )
        arguments[argument] = checked
    return {name: argument for argument, name in arguments.items()}


def naming_hint(signature: str, role: str) -> str:
    """Say how to give the inputs or outputs of a signature their names, in Python, on the command line, in Keras."""
    if role == "input":
        python, typed, keras = "inputs={'image': ('float32', (None, 8, 8))}", "(image)", "keras.Input(name='image')"
    else:
        python, typed, keras = "outputs=('probabilities',)", " -> probabilities", "the output layer's name"
    return f"signatures={{{signature!r}: Signature({python})}}, or -s '{signature}{typed}', or set {keras}"


def spec_hint(signature: str, inputs: Sequence[TensorSpec] = ()) -> str:
    """Say how to give the inputs of a signature their shapes and dtypes, in Python, on the command line, in Keras.

    ``inputs``: of the model, as far as they are known; their dtypes and shapes may have to be corrected.
    """
    known = list(inputs) or [TensorSpec("image", "float32", (None, 8, 8))]
    python = ", ".join(f"{spec.name!r}: ({spec.dtype!r}, {spec.shape})" for spec in known)
    line = ", ".join(f"{spec.name}: {str(spec).replace(' ', '', 1)}" for spec in known)
    keras = f", or give the model a keras.Input(name={known[0].name!r})" if len(known) == 1 else ""
    if inputs:
        keras += ", with the dtypes and shapes that the model takes"
    return f"signatures={{{signature!r}: Signature(inputs={{{python}}})}}, or -s '{signature}({line})'{keras}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known name, else all of them."""
    near = closest(name, known := sorted(known))
    if near is not None:
        return f"did you mean {near!r}?"
    first = [*known[:12], "..."] if len(known) > 12 else known
    return f"known: {', '.join(first)}" if known else "there are none"
