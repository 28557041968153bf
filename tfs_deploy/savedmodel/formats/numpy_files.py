# SPDX-License-Identifier: Apache-2.0
"""Arrays in files of NumPy, ``.npy`` and ``.npz``, read so that a damaged one is one error.

NumPy and zipfile raise a dozen kinds of errors for damage, among them those of Python's own tokenizer.
"""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DAMAGED: Final = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, ArithmeticError, SyntaxError),
    *(MemoryError, RuntimeError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


class NumpyFileError(ValueError):
    """Why a file's arrays cannot be read."""


def read_npy(file: IO[bytes]) -> NDArray[Any]:
    """Read one array; nothing is unpickled.

    Raises:
        NumpyFileError: it is damaged, or is not one array.
    """
    found = _read(file, None)
    if isinstance(found, dict):
        raise NumpyFileError("it holds several arrays")
    return found


def read_npz(file: IO[bytes], *, most: int | None = None) -> dict[str, NDArray[Any]]:
    """Read all arrays by name; nothing is unpickled.

    Args:
        file: where to read, at the start.
        most: how many bytes they may take unpacked; a small file can hold a thousand times its size.

    Raises:
        NumpyFileError: it is damaged, is not an archive of arrays, or holds more than ``most``.
    """
    found = _read(file, most)
    if not isinstance(found, dict):
        raise NumpyFileError("it is not an archive of arrays")
    return found


def _read(file: IO[bytes], most: int | None) -> NDArray[Any] | dict[str, NDArray[Any]]:
    try:
        found = np.load(file, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            return np.asarray(found)
        with found:
            _check_size(found, most)
            return {name: found[name] for name in found.files}
    except NumpyFileError:
        raise
    except _DAMAGED as error:
        raise NumpyFileError(" ".join(str(error).split()) or type(error).__name__) from error


def _check_size(archive: np.lib.npyio.NpzFile, most: int | None) -> None:
    """Raise ``NumpyFileError`` if the arrays take more than so many bytes; no more of each is unpacked than it says."""
    size = sum(member.file_size for member in archive.zip.infolist()) if archive.zip is not None else 0
    if most is not None and size > most:
        raise NumpyFileError(f"its arrays take {size} bytes unpacked, more than {most}")
