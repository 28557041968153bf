# SPDX-License-Identifier: Apache-2.0
"""The address of one of several servers as a value, parsed once."""

from __future__ import annotations

from dataclasses import dataclass

from tfs_deploy.errors import UsageError
from tfs_deploy.host.addresses import read_server


@dataclass(frozen=True, slots=True)
class Replica:
    """The address of one server: ``HOST:PORT`` over gRPC, and over REST if that is known."""

    grpc: str
    rest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Replica:
        """Read ``HOST:PORT`` or ``HOST:PORT/RESTPORT``; raises ``UsageError``."""
        try:
            grpc, rest = read_server(text)
        except UsageError as error:
            hint = "for example 10.0.0.1:8500, or 10.0.0.1:8500/8501 with the REST port"
            raise UsageError(f"{text!r} is not a valid server address", hint=hint) from error
        return cls(str(grpc), None if rest is None else str(rest))

    def __str__(self) -> str:
        return self.grpc if self.rest is None else f"{self.grpc}/{self.rest.rpartition(':')[2]}"
