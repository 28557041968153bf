# SPDX-License-Identifier: Apache-2.0
"""The config file in the state directory, read back: damage is refused, not taken for a config.

Its first line is a comment with the CRC-32C of the rest; a file of an earlier release has none. The server skips it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.config.models import parse
from tfs_deploy.errors import EnvironmentFault, SpecError, file_hint
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.savedmodel.formats.crc32c import checksum

if TYPE_CHECKING:
    from pathlib import Path

_MARK: Final = "# crc32c of what follows: "
_SEALED: Final = re.compile(re.escape(_MARK) + r"([0-9a-f]{8})\n(.*)", re.DOTALL)
_HINT: Final = (
    "the server keeps what it has loaded, and serves it (tfs-deploy status); remove the file, then tfs-deploy up FILE "
    "writes it again"
)


def sealed(text: str) -> str:
    """Return a config file's text with the checksum before it."""
    return f"{_MARK}{checksum(text.encode())}\n{text}"


def read_written(path: Path) -> Any:
    """Return the ``ModelServerConfig`` that was written to ``path``.

    Raises:
        FileNotFoundError: none was.
        EnvironmentFault: the file cannot be read, or is not as it was written.
    """
    try:
        text = read_regular(path).decode()
        _require_unchanged(text)
        return parse(text, source=str(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    except SpecError as error:
        raise EnvironmentFault(f"{path} is damaged: {error.problems[0].message}", hint=_HINT) from error
    except ValueError as error:
        raise EnvironmentFault(f"{path} is damaged: {error}", hint=_HINT) from error


def _require_unchanged(text: str) -> None:
    if _MARK.startswith(text):
        raise ValueError("its content is gone" if text else "it is empty")
    if text.startswith(_MARK):
        found = _SEALED.fullmatch(text)
        if found is None or checksum(found[2].encode()) != found[1]:
            raise ValueError("it was changed after it was written")
