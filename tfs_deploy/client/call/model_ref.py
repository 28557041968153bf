# SPDX-License-Identifier: Apache-2.0
"""The servable that a call is for: a model, and a version, a label or neither."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Final, NamedTuple

from tfs_deploy.errors import RequestError

if TYPE_CHECKING:
    from typing_extensions import Self


class _Ref(NamedTuple):
    name: str
    label: str | None
    version: int | None


class ModelRef(_Ref):
    """A model, and a version, a label or neither (the highest loaded version).

    It is a tuple because every call looks it up in dictionaries.
    """

    __slots__ = ()

    def __new__(cls, name: str, label: str | None = None, version: int | None = None) -> Self:
        """Return a reference; ``RequestError`` for both a label and a version, or a value of the wrong type."""
        if label is not None and version is not None:
            raise RequestError("a request names a version or a label, not both", hint="drop one of the two")
        if not isinstance(name, str):
            raise RequestError(f"not a valid model name: {name!r}", hint="give its name as text")
        if label is not None and not isinstance(label, str):
            raise RequestError(f"not a valid label: {label!r}", hint="give text; for a number use version=...")
        return super().__new__(cls, name, label, None if version is None else _version(version))

    def __str__(self) -> str:
        if self.version is not None:
            return f"{self.name} version {self.version}"
        return self.name if self.label is None else f"{self.name} label {self.label}"


def _version(given: object) -> int:
    try:
        number = operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(given, bool) or not -(2**63) <= number < 2**63:
        raise RequestError(f"not a valid version: {given!r}", hint="give a whole number of 64 bits")
    return number


#: for calls that are not about one model
NO_MODEL: Final = ModelRef("")


def model_ref(name: str, label: str | None, version: int | None) -> ModelRef:
    """Return the ``ModelRef``; the same object for the same arguments, which most calls repeat."""
    try:
        return _cached(name, label, version)
    except TypeError:  # an unhashable argument, such as a list, cannot be looked up in the cache
        return ModelRef(name, label, version)


#: 1, 1.0 and True are equal, but only the first is a version
_cached = functools.lru_cache(maxsize=1024, typed=True)(ModelRef)
