# SPDX-License-Identifier: Apache-2.0
"""Values typed on a command line, or in files named there, as inputs of a signature."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from tfs_deploy.client.core.input_check import convert, fits, shape_problem, suggestion
from tfs_deploy.codec import as_array, numpy_dtype
from tfs_deploy.errors import RequestError, UsageError, file_hint
from tfs_deploy.protos.signatures import ML_DTYPES
from tfs_deploy.savedmodel.formats.numpy_files import NumpyFileError, read_npy, read_npz
from tfs_deploy.text import closest, parse_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tfs_deploy.protos.signatures import TensorSpec

_Arrays = TypeVar("_Arrays")
#: values up to this number are repeated in a hint
_FEW: Final = 16
_SAVE_ARRAYS = (
    "write arrays of numbers or text with np.save('x.npy', values) or np.savez('inputs.npz', x=values), "
    "float8 as float32"
)


def read_inputs(arguments: Iterable[str], specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
    """Read ``NAME=VALUE``, ``NAME=@FILE``, ``@FILE.npz`` (every array by its name), and ``@FILE`` for the only input.

    VALUE is JSON, or plain text for a string input. Files: ``.npy`` an array as it is, ``.json`` a JSON value,
    anything else its bytes as one string. Typed values and files other than arrays that lack the batch dimension
    become a batch of one.

    Raises:
        UsageError: an argument is none of these, a file cannot be read, or a name comes twice.
    """
    inputs: dict[str, Any] = {}
    for argument in arguments:
        if argument.startswith("@"):
            found = _read_nameless(Path(argument[1:]), specs)
        else:
            name, separator, text = argument.partition("=")
            if not separator or not name:
                raise UsageError(
                    f"--input {argument} is not NAME=VALUE", hint="for example --input x=[1.0,2.0] or --input x=@x.npy"
                )
            spec = specs.get(name)
            found = {name: _read_file(name, Path(text[1:]), spec) if text.startswith("@") else _read_text(text, spec)}
        for name, value in found.items():
            if name in inputs:
                raise UsageError(f"input {name} is given twice", hint="give a list of values in one --input")
            inputs[name] = _in_declared_dtype(value, specs.get(name))
    return inputs


def _read_text(text: str, spec: TensorSpec | None) -> Any:
    """Read a typed value: JSON, or text if it is not valid JSON; for a string input only JSON text is taken as JSON."""
    try:
        value = parse_document(text)
    except ValueError:
        value = text
    if spec is not None and spec.dtype == "string" and not isinstance(value, (str, list)):
        value = text
    return _of_shape(_in_batch(value, spec), spec)


def _of_shape(value: Any, spec: TensorSpec | None) -> Any:
    """Return the value; ``RequestError`` with what to type if its shape is wrong. The client tells of a wrong dtype."""
    if spec is None:
        return value
    try:
        array = convert(spec, value)
    except RequestError:
        return value
    problem = shape_problem(spec, array)
    if problem is not None:
        raise RequestError(problem, hint=_typed_hint(value, array.size, spec))
    return value


def _typed_hint(value: Any, size: int, spec: TensorSpec) -> str:
    """Return how the values are typed in the shape of an input, if they fill it and are few; else the shape."""
    sizes = [-1 if known is None else known for known in spec.shape or ()]
    if 0 < size <= _FEW and sizes.count(-1) <= 1:
        with contextlib.suppress(ValueError):  # they do not fill it
            values = np.asarray(value, object).reshape(sizes).tolist()
            return f"if the values are in this order: -i {shlex.quote(f'{spec.name}={json.dumps(values)}')}"
    wanted = ", ".join("n" if known is None else str(known) for known in spec.shape or ())
    return f"give {spec.name} as lists in the shape [{wanted}], for example -i {spec.name}=@FILE.json"


def _read_file(name: str, path: Path, spec: TensorSpec | None) -> Any:
    data = _read_bytes(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _read_arrays(path, read_npy)
    if suffix == ".json":
        try:
            return _of_shape(_in_batch(parse_document(data), spec), spec)
        except ValueError as error:
            raise UsageError(
                f"{path} is not valid JSON: {error}", hint="write one JSON value, such as [[1.0, 2.0]]"
            ) from error
    if suffix == ".npz":
        arrays = _read_archive(path)
        if name not in arrays:
            raise UsageError(
                f"{path} has no array {name}; it has: {', '.join(arrays) or 'none'}",
                hint=suggestion(name, arrays, "array"),
            )
        return arrays[name]
    if spec is not None and spec.dtype != "string":
        raise UsageError(
            f"input {name} expects {spec}, {path.name} can only be sent as a string",
            hint=f"decode it and save the values: np.save('{path.stem}.npy', values)",
        )
    return _in_batch(data, spec)


def _in_declared_dtype(value: Any, spec: TensorSpec | None) -> Any:
    """Give an array of a file the dtype of its input where numpy's files have no such dtype (bfloat16, float8, int4).

    ``np.save`` writes it as raw bytes of its width, ``run --output`` wider with the same values.
    """
    if spec is None or spec.dtype not in ML_DTYPES or not isinstance(value, np.ndarray):
        return value
    dtype = numpy_dtype(spec.dtype)
    if value.dtype == f"V{dtype.itemsize}":
        return value.view(dtype)
    if value.dtype.kind not in "iuf":
        return value
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = value.astype(dtype)
        same = np.array_equal(narrow.astype(value.dtype), value, equal_nan=value.dtype.kind == "f")
    return narrow if same else value


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=_near(path) or file_hint(error)) from error


def _near(path: Path) -> str | None:
    """Suggest a file with a similar name, else name the directory that was searched."""
    folder = path.parent
    if not folder.is_dir():
        return f"directory {folder.absolute()} does not exist"
    near = closest(path.name, [entry.name for entry in folder.iterdir()])
    if near is not None:
        return f"did you mean {folder / near}?"
    return None if path.exists() else f"searched in {folder.absolute()}; check the path"


def _read_nameless(path: Path, specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
    """Read the arrays of an archive, or any other file as the only input that there is."""
    if path.suffix.lower() == ".npz":
        return _read_archive(path)
    _read_bytes(path)
    if len(specs) != 1:
        inputs = f"; the inputs are {', '.join(specs)}" if specs else ""
        raise UsageError(
            f"--input @{path.name} does not name its input{inputs}",
            hint=f"write --input {next(iter(specs), 'NAME')}=@{path}, or give an .npz file",
        )
    ((name, spec),) = specs.items()
    return {name: _read_file(name, path, spec)}


def _read_archive(path: Path) -> dict[str, Any]:
    return _read_arrays(path, read_npz)


def _read_arrays(path: Path, read: Callable[[IO[bytes]], _Arrays]) -> _Arrays:
    try:
        return read(io.BytesIO(_read_bytes(path)))
    except NumpyFileError as error:
        raise UsageError(f"{path} is not a valid {path.suffix} file of numbers: {error}", hint=_SAVE_ARRAYS) from error


def _in_batch(value: Any, spec: TensorSpec | None) -> Any:
    """Put one example into a batch of one, where the input has a batch dimension and the value does not."""
    if spec is None or not spec.shape or spec.shape[0] not in (None, 1):
        return value
    try:
        shape = as_array(value).shape
    except RequestError:
        return value
    return [value] if fits(shape, spec.shape[1:]) and not fits(shape, spec.shape) else value
