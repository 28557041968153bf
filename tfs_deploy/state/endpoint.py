"""Where a deployment's server answers now: ``endpoint.json`` in the state directory, beside the traffic file.

``{"generation": 3, "grpc": "127.0.0.1:8510", "rest": "127.0.0.1:8511"}``. It is replaced atomically when another server
takes the place of one that serves; ``generation`` counts the replacements.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tfs_deploy.atomic import write_atomic
from tfs_deploy.errors import EnvironmentFault, file_hint

FILE_NAME: Final = "endpoint.json"
_HINT: Final = "tfs-deploy up writes it again"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``HOST:PORT`` of both APIs; ``rest`` is None without REST."""

    generation: int
    grpc: str
    rest: str | None = None


def read_endpoint(state_dir: Path | str) -> Endpoint | None:
    """Read where the server of a deployment answers, None if ``up`` never said so; ``EnvironmentFault`` if damaged."""
    path = Path(state_dir) / FILE_NAME
    try:
        document = json.loads(path.read_text("utf-8"))
        rest = document["rest"]
        return Endpoint(int(document["generation"]), str(document["grpc"]), None if rest is None else str(rest))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror or error}", hint=file_hint(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise EnvironmentFault(f"{path} is damaged: {error!r}", hint=_HINT) from error


def write_endpoint(state_dir: Path, grpc: str, rest: str | None) -> Endpoint:
    """Replace the file unless it says so already; ``EnvironmentFault`` with the old one untouched if that fails."""
    try:
        before = read_endpoint(state_dir)
    except EnvironmentFault:
        before = None
    if before is not None and (before.grpc, before.rest) == (grpc, rest):
        return before
    endpoint = Endpoint(1 if before is None else before.generation + 1, grpc, rest)
    text = json.dumps({"generation": endpoint.generation, "grpc": grpc, "rest": rest}) + "\n"
    write_atomic(state_dir / FILE_NAME, text)
    return endpoint
