# SPDX-License-Identifier: Apache-2.0
"""A signature as the caller describes it, before anything is traced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.protos.signatures import (
    CLASSIFY_METHOD,
    DEFAULT_SIGNATURE,
    INTERNAL_SIGNATURES,
    PREDICT_METHOD,
    REGRESS_METHOD,
)

METHODS: Final[dict[str, str]] = {
    "predict": PREDICT_METHOD,
    "classify": CLASSIFY_METHOD,
    "regress": REGRESS_METHOD,
}


@dataclass(frozen=True)
class Signature:
    """One function of a model for TensorFlow Serving to answer requests with.

    ``function``: a callable that takes and returns tensors, the name of a method of the model (or of a signature that
    a SavedModel has), or ``None`` for the model's own call. Inputs are passed by keyword where the parameters carry
    their names, else in order to the parameters that are required; a function that requires a single one takes
    several inputs as one dict.

    ``inputs``: ``{name: spec}``, a spec being a ``(dtype, shape)`` tuple, a ``tf.TensorSpec``, a ``keras.InputSpec``
    or a ``protos.signatures.TensorSpec``; a size of ``None`` is free. A sequence of named specs works too.
    A sequence of names keeps the model's own specs; ``None`` keeps its names too. Names that the model has mean its
    own inputs, in any order; ``{name: own name}`` renames one, and other names count in order where there is one
    (arguments and lists, not dicts). For TensorFlow 1 graphs and SavedModels the values are tensors, tensor names or
    names in the signature that the SavedModel has.

    ``outputs``: a sequence of names, those of the results (a choice of them, in any order), or others in the order of
    the results; ``{name: key, own name or position in the result}``; ``{name: spec}`` to have dtype and shape checked;
    ``None`` for a function that returns a dict. For TensorFlow 1 graphs: ``{name: tensor}``.

    ``method``: ``"predict"``, ``"classify"`` or ``"regress"``; the last two take serialized tf.Examples as ``inputs``
    and answer with ``classes``/``scores`` or ``outputs`` (TF Serving: classifier.cc, regressor.cc).
    """

    function: Callable[..., Any] | str | None = None
    inputs: Mapping[str, Any] | Sequence[str] | None = None
    outputs: Mapping[str, Any] | Sequence[str] | None = None
    method: str = "predict"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"unknown signature method {self.method!r}", hint=did_you_mean(str(self.method), METHODS))
        for field in ("inputs", "outputs"):
            value = getattr(self, field)
            if isinstance(value, str):
                object.__setattr__(self, field, (value,))
            elif value is not None and not isinstance(value, (Mapping, Sequence)):
                raise UsageError(
                    f"{field} of a Signature must be a dict or a sequence of names, not {type(value).__name__}",
                    hint=f"{field}={{'image': ('float32', (None, 8, 8))}}, or {field}=['image']",
                )
            elif isinstance(value, Sequence) and not all(isinstance(entry, str) for entry in value):
                object.__setattr__(self, field, _by_name(field, value))


def _by_name(field: str, specs: Sequence[Any]) -> dict[str, Any]:
    """Turn a sequence of specs that carry their names, such as ``tf.TensorSpec``s, into a dict."""
    names = [getattr(spec, "name", None) for spec in specs]
    named = {name: spec for name, spec in zip(names, specs, strict=True) if isinstance(name, str) and name}
    if len(named) != len(specs):
        raise UsageError(
            f"{field} of a Signature is a sequence whose specs do not all have names of their own",
            hint=f"{field}={{'image': ('float32', (None, 8, 8))}}, or name each tf.TensorSpec",
        )
    return named


def as_signatures(signatures: Any) -> dict[str, Signature]:
    """Return a ``signatures`` argument by name: ``{name: Signature, callable or method}``, or one ``Signature``."""
    if isinstance(signatures, Signature):
        signatures = {DEFAULT_SIGNATURE: signatures}
    if not isinstance(signatures, Mapping) or not signatures:
        raise UsageError(
            "signatures must be a dict of at least one Signature",
            hint="signatures={'serving_default': Signature(function, inputs={...}, outputs=(...))}",
        )
    result = {}
    for name, given in signatures.items():
        if not isinstance(name, str) or not name:
            raise UsageError(
                f"A signature name must be a non-empty string, not {name!r}",
                hint="clients that name no signature call 'serving_default'",
            )
        if name in INTERNAL_SIGNATURES:
            raise UsageError(f"The signature name {name!r} is reserved by TensorFlow", hint="choose another name")
        value = Signature(given) if isinstance(given, str) or callable(given) else given
        if not isinstance(value, Signature):
            raise UsageError(
                f"Signature {name!r} must be a Signature, not {type(value).__name__}",
                hint="wrap it in Signature(...)",
            )
        result[name] = value
    return result
