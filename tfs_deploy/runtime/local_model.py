# SPDX-License-Identifier: Apache-2.0
"""Load a model into this process and call it: ``load_model`` and ``LocalModel``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.errors import ModelError, RequestError, StatusError, UsageError
from tfs_deploy.extras import import_extra
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE, SignatureInfo
from tfs_deploy.runtime.batches import run_in_batches
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.runtime.inputs import named_arrays
from tfs_deploy.runtime.library import load_library
from tfs_deploy.runtime.load_hints import load_hint
from tfs_deploy.runtime.model_location import locate
from tfs_deploy.runtime.tensorflow_version import check_installed, check_producer
from tfs_deploy.savedmodel import inspect_model, layout
from tfs_deploy.savedmodel.graph.scan import graph_file
from tfs_deploy.savedmodel.manifest import verify_listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

    from tfs_deploy.savedmodel import SavedModelInfo

Array = np.ndarray[Any, Any]


class LocalModel:
    """A loaded version of a model; use it in a ``with`` block, or ``close`` it, to free its memory.

    Attributes:
        path: the version directory.
        version: its number, ``None`` if the directory's name is not a number.
    """

    def __init__(
        self, engine: Engine, version: int | None, *, max_batch: int | None = None, tags: Sequence[str] = ("serve",)
    ) -> None:
        self._engine = engine
        self._tags = tags
        self._max_batch = max_batch
        self.version = version
        self.path = engine.path

    @property
    def signatures(self) -> dict[str, SignatureInfo]:
        """The signatures by name."""
        return self._engine.signatures

    def predict(self, inputs: Any, signature: str | None = None, *, timeout: float | None = None) -> dict[str, Array]:
        """Run a signature; safe to call from many threads.

        Args:
            inputs: arrays, nested lists or pandas Series by input name; a pandas DataFrame; the value alone if the
                signature has one input. Python numbers take the signature's dtype, arrays must have it.
            signature: a name; else ``serving_default``, else the only one there is.
            timeout: seconds.

        Returns:
            The outputs by name. Strings are object arrays of ``bytes``.

        Raises:
            RequestError: something does not fit the signature.
            StatusError: TensorFlow's own code and text.
        """
        info = choose_signature(self.signatures, signature)
        arrays = named_arrays(inputs, info)
        for spec in (*info.inputs.values(), *info.outputs.values()):
            if spec.composite:
                raise RequestError(
                    f"{spec.name!r} of signature {info.name!r} is a {spec.composite} tensor, not a dense one",
                    hint="export the model with a signature that takes and returns its parts",
                )

        def run(part: dict[str, Array]) -> dict[str, Array]:
            return self._engine.run(info.name, part, timeout=timeout)

        if self._max_batch is None or not arrays.keys() <= info.inputs.keys():
            return run(arrays)
        return run_in_batches(run, arrays, info, self._max_batch)

    def as_keras_layer(self, signature: str | None = None, *, name: str | None = None) -> Any:
        """Return a Keras layer over one signature, for use inside a Keras model.

        Keras loads the model a second time; it does not need this one to stay open. The layer takes the tensor alone
        or a dict by input name and returns a dict by output name. Its variables are not trained, gradients flow
        through. A Keras model that holds it is saved with the path of the SavedModel.

        Args:
            signature: a name; else ``serving_default``, else the only one there is.
            name: of the layer.

        Raises:
            RequestError: an unknown signature.
            MissingExtraError: Keras is not installed.
            UsageError: Keras does not run on TensorFlow.
        """
        info = choose_signature(self.signatures, signature)
        import_extra("keras", "export")
        from tfs_deploy.runtime.keras_layer import SignatureLayer

        return SignatureLayer(str(self.path), info.name, self._tags, name=name)

    def close(self) -> None:
        """Wait for running calls and free the model."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LocalModel {self.path}: {', '.join(self.signatures)}>"


def choose_signature(signatures: Mapping[str, SignatureInfo], name: str | None) -> SignatureInfo:
    """Choose the named signature, else ``serving_default``, else the only one; ``RequestError`` lists them."""
    there = ", ".join(signatures) or "none"
    if name is not None:
        if name not in signatures:
            raise RequestError(f"unknown signature {name!r}", hint=f"signatures: {there}")
        return signatures[name]
    if DEFAULT_SIGNATURE in signatures:
        return signatures[DEFAULT_SIGNATURE]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    raise RequestError(f"the model has no signature {DEFAULT_SIGNATURE!r}", hint=f"name one of: {there}")


def load_model(
    path: str | Path,
    version: int | None = None,
    *,
    label: str | None = None,
    model: str | None = None,
    tags: tuple[str, ...] = ("serve",),
    max_batch: int | None = None,
    requires_tensorflow: str | None = None,
    allow_newer: bool = False,
) -> LocalModel:
    """Load a model the way TensorFlow Serving does, without TensorFlow's Python package being imported.

    Args:
        path: a version directory, a base path, or a deployment file.
        version: its number; the latest (of a deployment file: the latest that it serves) if not given.
        label: a version label of the deployment file.
        model: which model of the deployment file, if it has several.
        tags: of the meta graph.
        max_batch: calls with more rows are cut into parts.
        requires_tensorflow: a requirement on the installed TensorFlow, such as ``>=2.15``.
        allow_newer: load a model although a newer TensorFlow wrote it.

    Raises:
        UsageError: an argument is wrong, or the installed TensorFlow does not meet the requirement.
        ModelError: the version does not exist or cannot be loaded; the message names the file or directory.
    """
    if max_batch is not None and max_batch < 1:
        raise UsageError(f"max_batch must be at least 1, not {max_batch}", hint="leave it out to never cut a call")
    found = locate(Path(path), version=version, label=label, model=model)
    installed = load_library().version
    check_installed(installed, requires_tensorflow)
    facts = inspect_model(found.path)
    _check_as_exported(facts)
    if not allow_newer:
        check_producer(str(found.path), facts.serving.tensorflow_version, installed)
    try:
        engine = Engine.load(found.path, tags=tags, check_graph=False)
    except StatusError as error:
        hint = load_hint(error, f"tfs-deploy inspect {found.path}")
        raise ModelError(f"{found.path} cannot be loaded: {error.message}", hint=hint) from error
    return LocalModel(engine, found.version, max_batch=max_batch, tags=tags)


def _check_as_exported(info: SavedModelInfo) -> None:
    """Compare the graph with the manifest, if there is one: some damaged graphs make TensorFlow end the process."""
    if info.manifest is None:
        return
    problems = verify_listed(info.path, info.manifest, (graph_file(info.path).name, layout.VARIABLES_INDEX))
    if problems:
        raise ModelError(
            f"{info.path / problems[0].path} has changed since the export: {problems[0].detail}",
            hint=f"`tfs-deploy inspect --check {info.path}` lists all; copy or export the version again",
        )
