# SPDX-License-Identifier: Apache-2.0
"""The call that a model or a ``tf.function`` offers by itself, with what it knows of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import spec_hint
from tfs_deploy.export.signatures.nest import NestPath, fill, leaves, place
from tfs_deploy.export.signatures.pairing import Place, named_alone, pair
from tfs_deploy.export.signatures.specs import as_spec
from tfs_deploy.protos.signatures import TensorSpec
from tfs_deploy.text import counted


@dataclass(frozen=True)
class OwnInput:
    """One input of an own call.

    ``guessed``: the model does not know the dtype, that of ``spec`` is only likely. ``default``: the value that the
    call takes if the input is left out.
    """

    place: Place
    spec: TensorSpec
    guessed: bool = False
    default: Any = None


@dataclass(frozen=True)
class OwnCall:
    """A call whose arguments have a fixed structure.

    Args:
        function: what is called.
        inputs: in the order of ``nest.leaves``; ``None`` if the model does not know them.
        arguments: the positional arguments, nests of ``OwnInput``s and Python values.
        keywords: the arguments that are passed by keyword, likewise.
        parameters: the names of the positional arguments, if the function takes them by name too.
        outputs: the names of the results by their paths, ``None`` if they have none.
    """

    function: Callable[..., Any]
    inputs: list[OwnInput] | None
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    parameters: Sequence[str] = ()
    outputs: dict[NestPath, str] | None = None

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: Mapping[str, Any],
        *,
        parameters: Sequence[str] = (),
        outputs: dict[NestPath, str] | None = None,
    ) -> OwnCall:
        """Return the call with these arguments; the ``OwnInput``s in them are its inputs."""
        found = [leaf for _, leaf in [*leaves(arguments), *leaves(keywords)] if isinstance(leaf, OwnInput)]
        return cls(function, found, arguments, keywords, parameters, outputs)

    def pack(self, values: Sequence[Any]) -> Any:
        """Call with tensors in the order of ``inputs``: this is what gets traced."""
        rest = iter(values)

        def packed(nest: Any) -> Any:
            new = [next(rest) if isinstance(leaf, OwnInput) else leaf for _, leaf in leaves(nest)]
            return fill(nest, iter(new))

        arguments = packed(self.arguments)
        return self.function(*arguments, **packed(self.keywords))

    def call_by_name(self, values: Mapping[NestPath, Any]) -> Any:
        """Call with tensors by their paths, arguments by their names: this is the original that examples are run on.

        It shares no step with ``pack``, so that the check of examples finds an input in the wrong place.
        """
        arguments = place(self.arguments, values)
        keywords = dict(place(self.keywords, values))
        taken = dict(zip(self.parameters, arguments, strict=False))
        return self.function(*arguments[len(taken) :], **taken, **keywords)


@dataclass(frozen=True)
class PairedInputs:
    """The inputs of a signature, paired with those of an own call.

    ``numbers`` are positions in ``OwnCall.inputs``, ``guessed`` the inputs whose dtype is only likely, ``defaults``
    the values of those that a request may leave out.
    """

    specs: dict[str, TensorSpec]
    numbers: dict[str, int]
    guessed: frozenset[str] = frozenset()
    defaults: dict[str, Any] = field(default_factory=dict)


def pair_inputs(
    signature: str, own: Sequence[OwnInput] | None, given: Any, dtypes: Mapping[str, str] | None = None
) -> PairedInputs:
    """Pair the inputs that a signature gives with those of an own call.

    Args:
        signature: for messages.
        own: the inputs of the call.
        given: the inputs of the signature: specs by name, own names by name, names, or ``None``.
        dtypes: of the examples by input name; they count where the model does not know the dtype.

    Raises:
        UsageError: the model does not know its inputs, or the names do not fit.
    """
    if own is None:
        raise UsageError(
            f"Signature {signature!r}: the model does not know the shape and dtype of its inputs",
            hint=spec_hint(signature),
        )
    places = [one.place for one in own]
    numbers = named_alone(signature, "input", places) if given is None else pair(signature, "input", given, places)
    missing = [one.place.shown for number, one in enumerate(own) if number not in numbers.values()]
    if missing:
        raise UsageError(
            f"Signature {signature!r}: {counted(len(numbers), 'input')} for a model that takes {len(own)}: "
            f"{', '.join(one.shown for one in places)}",
            hint=f"{missing[0]} is missing",
        )
    said = given if isinstance(given, Mapping) else {}
    # The model's own order, so that an export does not depend on the order of a dict.
    ordered = dict(sorted(numbers.items(), key=lambda pair: pair[1]))
    specs, guessed = {}, set()
    for name, number in ordered.items():
        value = said.get(name)
        if value is not None and not isinstance(value, (str, int)):
            specs[name] = as_spec(name, value)
            continue
        known = own[number]
        dtype = (dtypes or {}).get(name) if known.guessed else None
        if known.guessed and dtype is None:
            guessed.add(name)
        specs[name] = TensorSpec(name, dtype or known.spec.dtype, known.spec.shape)
    defaults = {name: own[number].default for name, number in ordered.items() if own[number].default is not None}
    return PairedInputs(specs, ordered, frozenset(guessed), defaults)
