"""Load a model into this process and call it: ``load_model`` and ``LocalModel``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec.arrays import as_array, integer_array
from tfs_deploy.codec.dtypes import numpy_dtype
from tfs_deploy.errors import ModelError, RequestError, StatusError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE, SignatureInfo
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.savedmodel.versions import find_version, latest_version

if TYPE_CHECKING:
    from typing_extensions import Self

Array = np.ndarray[Any, Any]


class LocalModel:
    """A version of a model, loaded; use it in a ``with`` block, or ``close`` it, to free its memory."""

    def __init__(self, engine: Engine, version: int | None) -> None:
        self._engine = engine
        self.version = version
        self.path = engine.path

    @property
    def signatures(self) -> dict[str, SignatureInfo]:
        """The signatures by name."""
        return self._engine.signatures

    def predict(self, inputs: Any, signature: str | None = None, *, timeout: float | None = None) -> dict[str, Array]:
        """Run a signature.

        Args:
            inputs: arrays or nested lists by input name; the value alone if the signature has one input.
            signature: a name; else ``serving_default``, else the only one there is.
            timeout: seconds.

        Raises:
            RequestError: something does not fit the signature.
            StatusError: TensorFlow's own code and text.
        """
        info = choose_signature(self.signatures, signature)
        return self._engine.run(info.name, _named_arrays(inputs, info), timeout=timeout)

    def close(self) -> None:
        """Wait for running calls and free the model."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def choose_signature(signatures: Mapping[str, SignatureInfo], name: str | None) -> SignatureInfo:
    """Choose the named signature, else ``serving_default``, else the only one; ``RequestError`` lists them."""
    there = ", ".join(signatures) or "none"
    if name is not None:
        if name not in signatures:
            raise RequestError(f"there is no signature {name!r}", hint=f"signatures: {there}")
        return signatures[name]
    if DEFAULT_SIGNATURE in signatures:
        return signatures[DEFAULT_SIGNATURE]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    raise RequestError(f"the model has no signature {DEFAULT_SIGNATURE!r}", hint=f"name one of: {there}")


def _named_arrays(inputs: Any, info: SignatureInfo) -> dict[str, Array]:
    if not isinstance(inputs, Mapping):
        if len(info.inputs) != 1:
            raise RequestError(
                f"signature {info.name!r} has {len(info.inputs)} inputs, give them by name",
                hint=f"its inputs are {', '.join(info.inputs)}",
            )
        inputs = {next(iter(info.inputs)): inputs}
    return {name: _as_input(value, info, name) for name, value in inputs.items()}


def _as_input(value: Any, info: SignatureInfo, name: str) -> Array:
    array = as_array(value)
    spec = info.inputs.get(name)
    if spec is not None and not hasattr(value, "dtype") and array.dtype.kind in "iuf":
        wanted = numpy_dtype(spec.dtype)
        if wanted.kind in "iufc" and np.can_cast(np.asarray(value).dtype, wanted, "same_kind"):
            if wanted.kind not in "iu":
                return np.asarray(value, wanted)
            try:
                return integer_array(value, wanted)
            except OverflowError as error:
                raise RequestError(f"input {name}: {error}", hint=f"{name} expects {spec}") from error
    return array


def load_model(path: str | Path, version: int | None = None, *, tags: tuple[str, ...] = ("serve",)) -> LocalModel:
    """Load a version directory, or a version of a base path (the latest unless ``version`` says otherwise).

    Raises:
        ModelError: there is no such version, or it cannot be loaded; the message names the directory.
    """
    folder = Path(path)
    number: int | None = None
    if not (folder / "saved_model.pb").is_file() or version is not None:
        chosen = latest_version(folder) if version is None else find_version(folder, version)
        folder, number = chosen.path, chosen.number
    try:
        return LocalModel(Engine.load(folder, tags=tags), number)
    except StatusError as error:
        raise ModelError(f"{folder} cannot be loaded: {error.message}", hint=f"tfs-deploy inspect {folder}") from error
