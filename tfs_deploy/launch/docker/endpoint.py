# SPDX-License-Identifier: Apache-2.0
"""Where the Docker Engine is: what the docker command would use, read without the docker package."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from collections.abc import Mapping

USUAL_SOCKET: Final = "/var/run/docker.sock"
_USUAL: Final = "default"
_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_REMOTE_SCHEMES: Final = ("tcp", "http", "https", "ssh")


@dataclass(frozen=True, slots=True)
class EngineEndpoint:
    """``host`` is a URL such as ``unix:///var/run/docker.sock``, ``source`` says what names it, '' if nothing does."""

    host: str = f"unix://{USUAL_SOCKET}"
    source: str = ""

    @property
    def socket(self) -> str | None:
        """The path of its socket, None if it is not one of this machine."""
        place = urlsplit(self.host)
        return place.path if place.scheme == "unix" else None

    @property
    def place(self) -> str:
        """What messages call it: the path of its socket, else its URL."""
        return self.socket or self.host

    def require_local(self) -> None:
        """Raise ``UsageError`` for the engine of another machine: it cannot mount the models of this one."""
        url = urlsplit(self.host)
        if url.scheme in _REMOTE_SCHEMES and url.hostname not in _LOCAL_HOSTS:
            raise UsageError(
                f"{self.source} is {self.host}, the engine of another machine: "
                "it cannot mount models and config of this one",
                hint=f"run tfs-deploy on that machine, or {self.remedy}",
            )

    @property
    def remedy(self) -> str:
        """How to get back to the usual socket."""
        return "unset DOCKER_HOST" if self.source == "DOCKER_HOST" else f"docker context use {_USUAL}"


def engine_endpoint(environment: Mapping[str, str] = os.environ) -> EngineEndpoint:
    """Return the engine that the docker command would use: DOCKER_HOST, DOCKER_CONTEXT, the context in use, the socket.

    Raises ``EnvironmentFault`` for a context that cannot be read.
    """
    if environment.get("DOCKER_HOST"):
        return EngineEndpoint(environment["DOCKER_HOST"], "DOCKER_HOST")
    folder = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")
    name = environment.get("DOCKER_CONTEXT") or _in_use(folder / "config.json")
    if name in ("", _USUAL):
        return EngineEndpoint()
    return EngineEndpoint(_host(folder, name), f"docker context {name}")


def _in_use(config: Path) -> str:
    try:
        return str(parse_document(config.read_text(encoding="utf-8")).get("currentContext") or "")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError, AttributeError) as error:
        raise _unreadable(config, error) from error


def _host(folder: Path, name: str) -> str:
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    try:
        return str(parse_document(meta.read_text(encoding="utf-8"))["Endpoints"]["docker"]["Host"])
    except FileNotFoundError:
        hint = "docker context ls shows those that do; DOCKER_CONTEXT and `docker context use` choose one"
        raise EnvironmentFault(f"docker context {name} does not exist", hint=hint) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(meta, error) from error


def _unreadable(path: Path, error: Exception) -> EnvironmentFault:
    if isinstance(error, OSError):
        return EnvironmentFault(f"{path} cannot be read: {error.strerror}", hint=file_hint(error))
    return EnvironmentFault(f"{path} is not a valid file of the docker command", hint="docker context ls")
