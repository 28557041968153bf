# SPDX-License-Identifier: Apache-2.0
"""Data sets as columns of arrays: .npz, .csv, .parquet and .tfrecord."""

from __future__ import annotations

import contextlib
import csv
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy import protos
from tfs_deploy.errors import EnvironmentFault, TfsDeployError, UsageError, file_hint
from tfs_deploy.savedmodel.formats.numpy_files import read_npz
from tfs_deploy.savedmodel.formats.tfrecord import read_records
from tfs_deploy.text import parse_document
from tfs_deploy.verify.measure.parquet import read_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

#: the column that holds whole records of a .tfrecord
RECORD: Final = "__record__"
#: columns such as ``x.0``, ``x.1``, which are one input of several numbers
_PART: Final = re.compile(r"(?P<name>.+)[.\[](?P<number>\d+)\]?")


def read_data_set(path: Path) -> dict[str, Array]:
    """Return the columns of a data set by name, all of one length.

    .csv: a header, then rows; ``x.0``, ``x.1`` become rows of ``x``, cells such as ``[1, 2]`` arrays. .tfrecord: the
    features of its tf.Examples, and the records themselves as ``RECORD``.

    Raises:
        UsageError: the file does not exist, is damaged, or is not a table.
        MissingExtraError: .parquet without pyarrow.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path} is not a data set of a known kind", hint=f"kinds: {', '.join(_READERS)}")
    try:
        columns = reader(path)
    except TfsDeployError:
        raise
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", hint="check the path of --dataset") from None
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror or error}", hint=file_hint(error)) from error
    except (ValueError, KeyError, EOFError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint="check that the file is complete") from error
    lengths = {name: len(column) if column.ndim else -1 for name, column in columns.items()}
    if len(set(lengths.values())) != 1 or -1 in lengths.values() or 0 in lengths.values():
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items()) or "none"
        raise UsageError(f"{path} does not have columns of one length: {shown}", hint="each needs one row per example")
    return columns


def _npz(path: Path) -> dict[str, Array]:
    with path.open("rb") as file:
        return {name: _plain(array) for name, array in read_npz(file).items()}


def _csv(path: Path) -> dict[str, Array]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    if len(rows) < 2:
        raise UsageError(f"{path} has no rows", hint="write a header with the column names, then one row per example")
    head, *body = [row for row in rows if row]
    for number, row in enumerate(body, 2):
        if len(row) != len(head):
            raise UsageError(f"{path}:{number}: {len(row)} cells instead of {len(head)}", hint="one cell per column")
    return _joined({name: _cells([row[place] for row in body]) for place, name in enumerate(head)})


def _cells(texts: Sequence[str]) -> Array:
    """Return cells as integers, numbers, arrays or text: the first kind that fits all of them."""
    if all(text.lstrip().startswith("[") for text in texts):
        return np.array([parse_document(text) for text in texts])
    plain = np.array(texts)
    for kind in (np.int64, np.float64):
        with contextlib.suppress(ValueError):
            return np.asarray(plain.astype(kind))
    # not the array of text: numpy drops trailing NULs from it
    return _plain(np.array(texts, object))


def _joined(columns: dict[str, Array]) -> dict[str, Array]:
    """Return the columns with ``x.0``, ``x.1``, ... joined to ``x`` where none is missing."""
    parts: dict[str, dict[int, str]] = {}
    for name in columns:
        match = _PART.fullmatch(name)
        if match is not None:
            parts.setdefault(match["name"], {})[int(match["number"])] = name
    joined = dict(columns)
    for name, found in parts.items():
        if sorted(found) == list(range(len(found))) and name not in columns:
            joined[name] = np.stack([joined.pop(found[number]) for number in range(len(found))], axis=1)
    return joined


def _parquet(path: Path) -> dict[str, Array]:
    return _joined(read_parquet(path))


def _tfrecord(path: Path) -> dict[str, Array]:
    records = list(read_records(path))
    examples = [protos.Example.FromString(record) for record in records]
    names = sorted({name for example in examples for name in example.features.feature})
    columns = {name: _feature([example.features.feature[name] for example in examples]) for name in names}
    whole = np.empty(len(records), object)
    whole[:] = records
    return {**{name: column for name, column in columns.items() if column is not None}, RECORD: whole}


def _feature(features: Sequence[Any]) -> Array | None:
    """Return one feature of all examples, ``None`` if its size differs between them."""
    values = [
        list(getattr(feature, kind).value) if (kind := feature.WhichOneof("kind")) else [] for feature in features
    ]
    if len({len(row) for row in values}) != 1 or not values[0]:
        return None
    array = np.array(values, object) if isinstance(values[0][0], bytes) else np.array(values)
    return array[:, 0] if array.shape[1] == 1 else array


def _plain(array: Array) -> Array:
    """Return text as an object array of bytes, as the clients expect it."""
    if array.dtype.kind not in "SUO":
        return array
    flat = np.empty(array.size, object)
    for place, value in enumerate(array.reshape(-1).tolist()):
        flat[place] = value if isinstance(value, bytes) else str(value).encode()
    return flat.reshape(array.shape)


_READERS: Final[dict[str, Callable[[Path], dict[str, Array]]]] = {
    ".npz": _npz,
    ".csv": _csv,
    ".parquet": _parquet,
    ".tfrecord": _tfrecord,
    ".tfrecords": _tfrecord,
}
