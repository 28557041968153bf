# SPDX-License-Identifier: Apache-2.0
"""Output tensors of a signature, as commands print and save them."""

from __future__ import annotations

import base64
import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.atomic import require_room
from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint

if TYPE_CHECKING:
    from collections.abc import Mapping

#: elements of one output that are printed in full
_SHOWN = 200


def archive_path(form: str) -> Path | None:
    """Return the .npz file that ``--output`` names, ``None`` for table and json; raises ``UsageError`` for others.

    Raises ``EnvironmentFault`` where the file cannot be written, before anything is computed.
    """
    if form in ("table", "json"):
        return None
    path = Path(form)
    if path.suffix != ".npz":
        raise UsageError(
            f"--output {form} is neither table, json nor the path of an .npz file",
            hint=f"for arrays: --output {path.with_suffix('.npz')}" if path.suffix else "for JSON: --output json",
        )
    if not path.absolute().parent.is_dir():
        raise UsageError(f"the directory of {path} does not exist", hint=f"mkdir -p {path.parent}")
    require_room(path.absolute().parent, [path.name])
    return path


def write_archive(path: Path, outputs: Mapping[str, Any]) -> None:
    """Save the outputs as ``np.savez`` does, in dtypes that numpy loads without pickle and without other packages.

    Strings become fixed-width bytes; bfloat16 and float8 become float32, int4 and int2 become int8: the
    same values.

    Raises:
        UsageError: a string ends in NUL bytes, which numpy would drop; nothing is written.
        EnvironmentFault: the file cannot be written.
    """
    plain = {name: _storable(name, array) for name, array in outputs.items()}
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for name, array in plain.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror}", hint=file_hint(error)) from error


def _storable(name: str, array: Any) -> Any:
    if array.dtype == object:
        if any(value.endswith(b"\0") for value in array.ravel().tolist()):
            raise UsageError(
                f"output {name} has strings that end in NUL bytes, which arrays in an .npz file drop",
                hint="--output json keeps every byte, with base64 for what is not text",
            )
        return array.astype("S")
    if array.dtype.isbuiltin == 1:
        return array
    # a type of ml_dtypes, which numpy alone would read back as raw bytes
    kind = array.dtype.name
    return array.astype(np.float32 if "float" in kind else np.uint8 if "uint" in kind else np.int8)


def outputs_document(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return dtype, shape and values of each output, as values of strict JSON."""
    return {
        name: {"dtype": _dtype(array), "shape": list(array.shape), "values": _plain(array.tolist())}
        for name, array in sorted(outputs.items())
    }


def outputs_lines(outputs: Mapping[str, Any]) -> list[str]:
    """Return the outputs as lines for people."""
    lines = []
    for name, array in sorted(outputs.items()):
        lines.append(f"\n{name}  {_dtype(array)} {list(array.shape)}")
        with np.printoptions(threshold=_SHOWN, precision=6, suppress=True, linewidth=100):
            lines += [f"  {line}" for line in str(_readable(array)).splitlines()]
    return lines


def _plain(value: Any) -> Any:
    """Return a value that strict JSON has: bytes as text or base64, NaN and infinities as text, complex as a pair."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, (bool, int, float, str)) else float(value)


def _dtype(array: Any) -> str:
    return "string" if array.dtype == object else str(array.dtype)


def _readable(array: Any) -> Any:
    """Show bytes that are text as text."""
    if array.dtype != object:
        return array
    flat = np.empty(array.size, object)
    flat[:] = [_plain(item) if isinstance(_plain(item), str) else item for item in array.ravel().tolist()]
    return flat.reshape(array.shape)
