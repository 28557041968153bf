"""Names of inputs and outputs: which are refused, and what to write instead."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.text import closest

if TYPE_CHECKING:
    from collections.abc import Iterable

#: names that TensorFlow and Keras generate for unnamed tensors; they change from one export to the next
_GENERATED: Final = re.compile(
    r"(output|args|unknown)_\d+|(keras_tensor|input_layer|StatefulPartitionedCall)(_\d+)*|.+:\d+"
)
_TRACEABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


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


def check_traced_input(signature: str, name: object) -> str:
    """Return the name of an input of a traced signature.

    ``tf.saved_model.save`` silently rewrites names that are not Python identifiers; here they raise ``UsageError``.
    """
    checked = check_name(signature, "input", name)
    if _TRACEABLE.fullmatch(checked) is None or keyword.iskeyword(checked):
        better = re.sub(r"\W", "_", checked, flags=re.ASCII).lstrip("_0123456789")
        better = f"{better}_" if keyword.iskeyword(better) else better
        raise UsageError(
            f"Signature {signature!r}: {checked!r} cannot be an input name, TensorFlow would rename it silently",
            hint=f"name it {better or 'x'!r}: letters, digits, underscores, a letter first, not a Python keyword",
        )
    return checked


def naming_hint(signature: str, role: str) -> str:
    """Say how to give the inputs or outputs of a signature their names, in Python, on the command line, in Keras."""
    if role == "input":
        python, typed, keras = "inputs={'image': ('float32', (None, 8, 8))}", "(image)", "keras.Input(name='image')"
    else:
        python, typed, keras = "outputs=('probabilities',)", " -> probabilities", "the output layer's name"
    return f"signatures={{{signature!r}: Signature({python})}}, or -s '{signature}{typed}', or set {keras}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known name, else all of them."""
    near = closest(name, known := sorted(known))
    if near is not None:
        return f"did you mean {near!r}?"
    first = [*known[:12], "..."] if len(known) > 12 else known
    return f"known: {', '.join(first)}" if known else "there are none"
