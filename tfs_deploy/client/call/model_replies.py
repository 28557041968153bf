# SPDX-License-Identifier: Apache-2.0
"""What ``status`` and ``metadata`` return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.errors import Code

if TYPE_CHECKING:
    from tfs_deploy.protos.signatures import SignatureInfo

#: core/servable_state.h
AVAILABLE = "AVAILABLE"
END = "END"


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """The state of one version on the server.

    ``state`` is START, LOADING, AVAILABLE, UNLOADING or END; ``code`` and ``message`` say why the version ended, if it
    ended with an error (apis/get_model_status.proto).
    """

    version: int
    state: str
    code: Code = Code.OK
    message: str = ""

    @property
    def available(self) -> bool:
        """Whether the server answers requests for this version."""
        return self.state == AVAILABLE

    @property
    def failed(self) -> bool:
        """Whether the version ended with an error; the server does not try the same number again."""
        return self.state == END and self.code != Code.OK

    def __str__(self) -> str:
        return f"version {self.version} {self.state}" + (f" ({self.message})" if self.message else "")


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """The inputs and outputs of a served version: its number, and its signatures by name."""

    model: str
    version: int | None
    signatures: dict[str, SignatureInfo]

    def __repr__(self) -> str:
        return f"ModelMetadata({self.model} version {self.version}; {'; '.join(map(str, self.signatures.values()))})"
