# SPDX-License-Identifier: Apache-2.0
"""Goldens: inputs with the outputs recorded for them at export, kept inside the version.

``assets.extra/goldens/goldens.json`` describes them, ``tensors.npz`` holds their arrays. Strings, which numpy
would pickle, are kept as their joined bytes and their lengths, so that reading never unpickles anything.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.errors import ModelError
from tfs_deploy.host.regular_file import open_regular, read_regular
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.formats.numpy_files import read_npz
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[Any]

FORMAT: Final = 1
INDEX: Final = "goldens.json"
TENSORS: Final = "tensors.npz"
DEFAULT_RTOL: Final = 1e-5
DEFAULT_ATOL: Final = 1e-6
#: bytes that the arrays of a file may take: so many, and so many for each byte of the file
_LEAST_UNPACKED: Final = 1 << 28
_UNPACKED: Final = 20
#: dtypes that numpy alone cannot read back, kept as integers of the same width
_STORED_AS: Final = {1: np.uint8, 2: np.uint16}


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """One recorded call; strings are object arrays of ``bytes``, tolerances are for floating outputs."""

    signature: str
    inputs: dict[str, Array]
    outputs: dict[str, Array]
    rtol: float = DEFAULT_RTOL
    atol: float = DEFAULT_ATOL
    metadata: dict[str, Any] = field(default_factory=dict)


def write_goldens(version_dir: str | Path, goldens: Iterable[Golden]) -> Path:
    """Write all goldens of a version and return their directory."""
    folder = Path(version_dir, layout.GOLDENS)
    folder.mkdir(parents=True, exist_ok=True)
    members: dict[str, Array] = {}
    entries = []
    for number, golden in enumerate(goldens):
        entry: dict[str, Any] = {"signature": golden.signature, "rtol": golden.rtol, "atol": golden.atol}
        for side in ("inputs", "outputs"):
            arrays = getattr(golden, side)
            entry[side] = {
                name: _pack(members, f"{number}.{side}.{position}", np.asarray(array))
                for position, (name, array) in enumerate(sorted(arrays.items()))
            }
        entries.append({**entry, "metadata": golden.metadata})
    np.savez_compressed(folder / TENSORS, allow_pickle=False, **members)  # type: ignore[arg-type,unused-ignore]
    document = {"format": FORMAT, "goldens": entries}
    (folder / INDEX).write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return folder


def read_goldens(version_dir: str | Path) -> list[Golden]:
    """Return all goldens of a version, an empty list if it has none; ``ModelError`` names a damaged file."""
    folder = Path(version_dir, layout.GOLDENS)
    if not (folder / INDEX).exists():
        return []
    try:
        entries = _entries(parse_document(read_regular(folder / INDEX)))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder / INDEX, error) from error
    try:
        with open_regular(folder / TENSORS) as file:
            members = read_npz(file, most=_LEAST_UNPACKED + _UNPACKED * os.fstat(file.fileno()).st_size)
        return [_golden(members, entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder / TENSORS, error) from error


def _entries(document: Any) -> list[Any]:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r} is unknown to this version of tfs-deploy")
    return list(document["goldens"])


def _golden(members: Any, entry: Any) -> Golden:
    sides = {
        side: {name: _unpack(members, about) for name, about in entry[side].items()} for side in ("inputs", "outputs")
    }
    return Golden(
        signature=entry["signature"],
        inputs=sides["inputs"],
        outputs=sides["outputs"],
        rtol=float(entry["rtol"]),
        atol=float(entry["atol"]),
        metadata=dict(entry.get("metadata") or {}),
    )


def _pack(members: dict[str, Array], member: str, array: Array) -> dict[str, Any]:
    """Put an array into ``members`` and return its description."""
    about = {"member": member, "dtype": array.dtype.name, "shape": list(array.shape)}
    if array.dtype.kind in "OSU":
        values = [value.encode() if isinstance(value, str) else bytes(value) for value in array.reshape(-1).tolist()]
        members[member] = np.frombuffer(b"".join(values), np.uint8)
        members[f"{member}.lengths"] = np.array([len(value) for value in values], np.int64)
        return {**about, "dtype": "string"}
    if array.dtype.isbuiltin != 1:
        members[member] = np.ascontiguousarray(array).view(_STORED_AS[array.dtype.itemsize])
    else:
        members[member] = array
    return about


def _unpack(members: Any, about: Any) -> Array:
    data = members[about["member"]]
    shape = tuple(about["shape"])
    if about["dtype"] != "string":
        dtype = _dtype(about["dtype"])
        return np.asarray((data if data.dtype == dtype else data.view(dtype)).reshape(shape))
    array = np.empty(len(members[f"{about['member']}.lengths"]), object)
    joined, start = data.tobytes(), 0
    for position, length in enumerate(members[f"{about['member']}.lengths"].tolist()):
        array[position] = joined[start : start + length]
        start += length
    return array.reshape(shape)


def _dtype(name: str) -> Any:
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{path} cannot be read: {error}",
        hint="export the version again with examples, or remove the directory of the goldens",
    )


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first output that differs: why, and for values where (index), how (both values) and by how much at most."""

    output: str
    reason: str
    index: tuple[int, ...] | None = None
    expected: Any = None
    actual: Any = None
    max_abs_diff: float | None = None

    def __str__(self) -> str:
        if self.index is None:
            return f"output '{self.output}': {self.reason}"
        most = "" if self.max_abs_diff is None else f", largest difference {self.max_abs_diff:.6g}"
        where = list(self.index)
        return f"output '{self.output}' at {where}: {self.actual!r} instead of {self.expected!r}{most}"


def compare(
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
    rtol: float = DEFAULT_RTOL,
    atol: float = DEFAULT_ATOL,
) -> Mismatch | None:
    """Return the first difference by output name, ``None`` if there is none.

    Floating and complex values are equal within ``atol + rtol * |expected|``, NaN equals NaN; everything else must be
    equal exactly. Further outputs do not count as a difference.
    """
    for name in sorted(expected):
        if name not in actual:
            return Mismatch(name, f"it is missing; the reply has {sorted(actual)}")
        mismatch = _compare_output(name, np.asarray(expected[name]), np.asarray(actual[name]), rtol, atol)
        if mismatch is not None:
            return mismatch
    return None


def _compare_output(name: str, expected: Array, actual: Array, rtol: float, atol: float) -> Mismatch | None:
    if expected.shape != actual.shape:
        return Mismatch(name, f"its shape is {list(actual.shape)} instead of {list(expected.shape)}")
    is_text = expected.dtype.kind in "OSU"
    if is_text != (actual.dtype.kind in "OSU") or (not is_text and expected.dtype != actual.dtype):
        return Mismatch(name, f"its dtype is {actual.dtype.name} instead of {expected.dtype.name}")
    if is_text:
        return _first(name, "values differ", _as_bytes(expected) != _as_bytes(actual), expected, actual)
    if expected.dtype.kind in "biu":
        return _first(name, "values differ", expected != actual, expected, actual)
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    with np.errstate(all="ignore"):
        left, right = expected.astype(wide), actual.astype(wide)
        close = np.isclose(right, left, rtol=rtol, atol=atol, equal_nan=True)
        difference = np.abs(right - left)
    finite = difference[np.isfinite(difference)]
    return _first(name, "values differ", ~close, expected, actual, float(finite.max()) if finite.size else None)


def _first(
    name: str, reason: str, differs: Any, expected: Array, actual: Array, most: float | None = None
) -> Mismatch | None:
    differs = np.asarray(differs)
    if not differs.any():
        return None
    index = tuple(int(i) for i in np.unravel_index(int(differs.argmax()), differs.shape))
    return Mismatch(name, reason, index, _plain(expected[index]), _plain(actual[index]), most)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _as_bytes(array: Array) -> Array:
    flat = np.empty(array.size, object)
    for position, value in enumerate(array.reshape(-1).tolist()):
        flat[position] = value.encode() if isinstance(value, str) else value
    return flat.reshape(array.shape)
