"""What the clients take and return besides arrays."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from tfs_deploy.errors import Code, RequestError

if TYPE_CHECKING:
    from typing_extensions import Self

    from tfs_deploy.protos.signatures import SignatureInfo

#: core/servable_state.h
AVAILABLE = "AVAILABLE"
END = "END"


class _Ref(NamedTuple):
    name: str
    label: str | None
    version: int | None


class ModelRef(_Ref):
    """Which servable a call is for: a model, and one of version, label or neither (the highest loaded version).

    A tuple, because it is looked up in dictionaries for every call.
    """

    __slots__ = ()

    def __new__(cls, name: str, label: str | None = None, version: int | None = None) -> Self:
        """Make a reference; ``RequestError`` for a label and a version at once, or what is none."""
        if label is not None and version is not None:
            raise RequestError("a request names a version or a label, not both", hint="drop one of the two")
        if not isinstance(name, str):
            raise RequestError(f"the model is {name!r}", hint="give its name as text")
        if label is not None and not isinstance(label, str):
            raise RequestError(f"the label is {label!r}", hint="give text; for a number use version=...")
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
        raise RequestError(f"the version is {given!r}", hint="give a whole number of 64 bits")
    return number


#: for calls that are not about one model
NO_MODEL: Final = ModelRef("")


def model_ref(name: str, label: str | None, version: int | None) -> ModelRef:
    """Return the ``ModelRef``; the same object for the same arguments, which most calls repeat."""
    try:
        return _cached(name, label, version)
    except TypeError:  # a list, say, which cannot be looked up either
        return ModelRef(name, label, version)


#: 1, 1.0 and True are equal, but only the first is a version
_cached = functools.lru_cache(maxsize=1024, typed=True)(ModelRef)


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version as the server sees it.

    ``state`` is START, LOADING, AVAILABLE, UNLOADING or END; ``code`` and ``message`` say why it ended, where it
    ended with an error (apis/get_model_status.proto).
    """

    version: int
    state: str
    code: Code = Code.OK
    message: str = ""

    @property
    def available(self) -> bool:
        """Whether requests for this version are answered."""
        return self.state == AVAILABLE

    @property
    def failed(self) -> bool:
        """Whether the version ended with an error; the server does not try the same number again."""
        return self.state == END and self.code != Code.OK

    def __str__(self) -> str:
        return f"version {self.version} {self.state}" + (f" ({self.message})" if self.message else "")


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a served version takes and returns: the version that was asked, and its signatures by name."""

    model: str
    version: int | None
    signatures: dict[str, SignatureInfo]
