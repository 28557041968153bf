"""What the clients take and return besides arrays."""

from __future__ import annotations

import functools
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
        """Make a reference; ``RequestError`` for a label and a version at once."""
        if label is not None and version is not None:
            raise RequestError("a request names a version or a label, not both", hint="drop one of the two")
        return super().__new__(cls, name, label, version)

    def __str__(self) -> str:
        if self.version is not None:
            return f"{self.name} version {self.version}"
        return self.name if self.label is None else f"{self.name} label {self.label}"


#: for calls that are not about one model
NO_MODEL: Final = ModelRef("")


@functools.lru_cache(maxsize=1024)
def model_ref(name: str, label: str | None, version: int | None) -> ModelRef:
    """Return the ``ModelRef``; the same object for the same arguments, which most calls repeat."""
    return ModelRef(name, label, version)


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
