# SPDX-License-Identifier: Apache-2.0
"""What gates send and trust beside a URL: headers with secrets from the environment, CA certificates."""

from __future__ import annotations

import os
import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from ssl import SSLContext

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # token of RFC 9110, 5.6.2
_SECRET: Final = re.compile(r"authorization|cookie|token|secret|key", re.IGNORECASE)
_EXAMPLE: Final = "for example --gate-header 'Authorization: Bearer ${TOKEN}'"


@dataclass(frozen=True, slots=True)
class WebAccess:
    """Headers as ``NAME: VALUE``, and the path of a PEM file with CA certificates to trust beside the system's.

    ``${VARIABLE}`` in a value is filled in from the environment for each request, so that no journal holds a secret.
    """

    headers: tuple[str, ...] = ()
    ca: str = ""

    def check(self) -> None:
        """Raise ``UsageError`` for what no request could use now: a header, its variable, the certificates."""
        for header in self.headers:
            name, value = _split(header)
            if _SECRET.search(name) and "$" not in value:
                message = f"the value of the header {name} would be in the rollout's journal, which every user can read"
                raise UsageError(message, hint=f"take it from the environment: {_EXAMPLE}")
        try:
            self.filled()
            self.context()
        except UnavailableError as error:
            raise UsageError(error.message, hint=error.hint) from error

    def filled(self) -> dict[str, str]:
        """Return the headers to send; raises ``UnavailableError`` for a variable that is not set."""
        return {name: _filled(name, value) for name, value in map(_split, self.headers)}

    def context(self) -> SSLContext | None:
        """Return what verifies the servers, ``None`` for the default; raises ``UnavailableError``."""
        if not self.ca:
            return None
        import ssl  # inside: the command line reads gates without fetching anything

        context = ssl.create_default_context()
        try:
            context.load_verify_locations(self.ca)
        except OSError as error:  # ssl.SSLError is one
            message = f"the CA certificates {self.ca} cannot be read: {error.strerror or error}"
            raise UnavailableError(message, hint="give a PEM file with --gate-ca") from error
        return context


#: no headers, and the system's certificates
PLAIN: Final = WebAccess()


def _split(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon or not _NAME.fullmatch(name.strip()) or any(character in value for character in "\r\n\0"):
        raise UsageError(f"{name.strip()!r} does not begin a valid header", hint=_EXAMPLE)
    return name.strip(), value.strip()


def _filled(name: str, value: str) -> str:
    try:
        return string.Template(value).substitute(os.environ)
    except KeyError as error:
        message = f"the environment variable {error.args[0]} of the header {name} is not set"
        raise UnavailableError(message, hint=f"export {error.args[0]}=...") from None
    except ValueError:
        raise UnavailableError(
            f"the value of the header {name} has a $ without a name", hint="write $$ for $"
        ) from None
