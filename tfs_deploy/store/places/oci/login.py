# SPDX-License-Identifier: Apache-2.0
"""Who calls a registry: credentials from where ``docker login`` leaves them, and what a registry wants to see of them.

The text of credentials is in no error: neither that of a helper, nor that of a file.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.text import parse_document

#: the registry of Docker Hub: as it is typed, as it is reached, and as its credentials are filed
HUB: Final = "docker.io"
HUB_HOST: Final = "registry-1.docker.io"
_HUB_KEY: Final = "https://index.docker.io/v1/"
#: the name under which a helper files an identity token
_IDENTITY: Final = "<token>"
_PARAMETER: Final = re.compile(r'(\w+)="([^"]*)"|(\w+)=([^",\s]+)')
_HELPER: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name with its password, or an identity token; ``source`` says where they come from."""

    source: str
    name: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return f"Basic {base64.b64encode(f'{self.name}:{self.password}'.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry wants to see: ``basic`` or ``bearer``, with parameters such as realm, service and scope."""

    kind: str
    parameters: dict[str, str]


def read_challenge(header: str) -> Challenge:
    """Return what a ``WWW-Authenticate`` header says."""
    kind, _, rest = header.partition(" ")
    found = {(match[1] or match[3]).lower(): match[2] or match[4] or "" for match in _PARAMETER.finditer(rest)}
    return Challenge(kind.lower(), found)


def read_token(body: bytes) -> str:
    """Return the token that a server of tokens gave; empty if it gave none."""
    try:
        document = parse_document(body)
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError):
        return ""
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else ""


def config_file() -> Path:
    """Return the path of the configuration of ``docker login``."""
    folder = os.environ.get("DOCKER_CONFIG")
    return Path(folder or "~/.docker").expanduser() / "config.json"


def find_credentials(registry: str) -> Credentials | None:
    """Return the credentials for a registry, ``None`` if there are none.

    Raises:
        UsageError: the configuration is not valid.
        EnvironmentFault: it names a helper that does not work.
    """
    path = config_file()
    try:
        document = parse_document(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}", hint="correct its permissions") from error
    except ValueError:
        raise _not_valid(path) from None
    key = _HUB_KEY if registry == HUB else registry
    helpers = document.get("credHelpers") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(helpers or {}, dict):
        raise _not_valid(path)
    helper = (helpers or {}).get(key) or (helpers or {}).get(registry) or document.get("credsStore")
    if helper:
        found = _ask(str(helper), key, path)
        if found is not None:
            return found
    return _filed(document.get("auths") or {}, key, path)


def _filed(entries: Any, key: str, path: Path) -> Credentials | None:
    if not isinstance(entries, dict):
        raise _not_valid(path)
    entry = next((entries[name] for name in entries if name == key or _host(name) == _host(key)), None)
    if not entry:
        return None
    if not isinstance(entry, dict):
        raise _not_valid(path)
    if token := entry.get("identitytoken"):
        return Credentials(str(path), identity_token=str(token))
    try:
        text = base64.b64decode(entry.get("auth") or "", validate=True).decode()
    except (binascii.Error, ValueError, TypeError):
        raise _not_valid(path) from None
    name, _, password = text.partition(":")
    name, password = name or str(entry.get("username", "")), password or str(entry.get("password", ""))
    return Credentials(str(path), name, password.rstrip("\0")) if name else None


def _host(name: str) -> str:
    return name.partition("://")[2].partition("/")[0] if "://" in name else name.partition("/")[0]


def _ask(helper: str, key: str, path: Path) -> Credentials | None:
    """Ask the program ``docker-credential-HELPER``; ``None`` if it has nothing for the registry."""
    if not _HELPER.fullmatch(helper):
        raise _not_valid(path)
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, "get"], input=key.encode(), capture_output=True, timeout=_SECONDS, check=False)
    except FileNotFoundError:
        hint = f"install it, or remove it from {path} and log in again: docker login"
        raise EnvironmentFault(f"{program}, which {path} names, is not installed", hint=hint) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        what = getattr(error, "strerror", None) or f"no answer within {_SECONDS:g} s"
        raise EnvironmentFault(f"{program} does not work: {what}", hint="docker login") from None
    if done.returncode:
        if b"credentials not found" in done.stdout + done.stderr:
            return None
        hint = f"run it to see why: echo {key} | {program} get"
        raise EnvironmentFault(f"{program} failed (exit code {done.returncode})", hint=hint)
    try:
        document = json.loads(done.stdout)
        name, secret = str(document["Username"]), str(document["Secret"])
    except (ValueError, KeyError, TypeError):
        raise EnvironmentFault(f"{program} gave no valid answer", hint="docker login") from None
    if name == _IDENTITY:
        return Credentials(program, identity_token=secret)
    return Credentials(program, name, secret) if name else None


def _not_valid(path: Path) -> UsageError:
    return UsageError(f"{path} is not a valid configuration of docker login", hint="docker login writes a new one")
