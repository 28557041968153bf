# SPDX-License-Identifier: Apache-2.0
"""Columns of a .parquet file as arrays, read with pyarrow (the extra ``data``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.errors import UsageError
from tfs_deploy.extras import import_extra
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

#: how pandas stores the index of a table
_INDEX: Final = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path) -> dict[str, Array]:
    """Return every column: numbers and booleans as they are, text and bytes as bytes, lists as further dimensions.

    Raises ``UsageError`` for a column that no tensor can hold: nulls, lists of different lengths, structs, dates.
    """
    pyarrow, parquet = import_extra("pyarrow", "data"), import_extra("pyarrow.parquet", "data")
    try:
        with path.open("rb") as file:
            table = parquet.ParquetFile(file).read()
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # an error of the file system; a damaged file has no errno
        detail = one_line(str(error))
        raise UsageError(f"{path} cannot be read: {detail}", hint="check that it is a complete Parquet file") from error
    twice = next((name for name in table.column_names if table.column_names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{path} has several columns called '{twice}'", hint="give each a name of its own")
    # one chunk each: row groups do not matter here
    return {
        name: _array(f"{path}: column '{name}'", table.column(name).combine_chunks())
        for name in table.column_names
        if not _INDEX.fullmatch(name)
    }


def _array(where: str, column: Any) -> Array:
    arrow = import_extra("pyarrow", "data")
    kind, types = column.type, arrow.types
    if types.is_null(kind) or column.null_count:
        raise UsageError(f"{where} has {column.null_count} nulls in {len(column)} rows", hint="fill or drop them")
    if types.is_dictionary(kind):
        return _array(where, column.dictionary_decode())
    if isinstance(column, arrow.ExtensionArray):
        return _array(where, column.storage)
    if types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind):
        return _lists(where, column)
    if types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if types.is_decimal(kind):
        return np.array([float(value) for value in column.to_pylist()])
    if any(test(kind) for test in _of_text(types)):
        texts = np.empty(len(column), object)
        texts[:] = [value.encode() if isinstance(value, str) else value for value in column.to_pylist()]
        return texts
    raise UsageError(f"{where} is {kind}, which no tensor can hold", hint="write it as numbers, text, or lists of them")


def _lists(where: str, column: Any) -> Array:
    """Return lists, all of one length, as rows with one more dimension."""
    sizes = set(import_extra("pyarrow.compute", "data").list_value_length(column).to_pylist())
    if len(sizes) > 1:
        shown = ", ".join(map(str, sorted(sizes)[:3]))
        raise UsageError(f"{where} has lists of {shown} values", hint="a tensor needs rows of one length: pad them")
    values = _array(where, column.flatten())
    return values.reshape(len(column), *sizes, *values.shape[1:])


def _of_text(types: Any) -> list[Any]:
    named = ("string", "large_string", "string_view", "binary", "large_binary", "fixed_size_binary", "binary_view")
    return [getattr(types, f"is_{name}") for name in named if hasattr(types, f"is_{name}")]
