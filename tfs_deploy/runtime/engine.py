# SPDX-License-Identifier: Apache-2.0
"""One loaded SavedModel: what LocalModel and the embedded server run."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec import decode_tensor
from tfs_deploy.codec.quantized import integers, quantized_inputs
from tfs_deploy.errors import DataLossError, InvalidArgumentError, ModelError, RequestError
from tfs_deploy.protos.signatures import SignatureInfo, signature_infos
from tfs_deploy.runtime.meta_graph import MetaGraph, read_meta_graph
from tfs_deploy.runtime.session import Session
from tfs_deploy.savedmodel.graph.scan import graph_file, scan_saved_model
from tfs_deploy.savedmodel.graph.shape_hints import contradicts_shape_hints, without_shape_hints
from tfs_deploy.savedmodel.graph.soundness import UnsoundError
from tfs_deploy.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

Array = np.ndarray[Any, Any]


class Engine:
    """A loaded SavedModel of any kind (TF1, Estimator, TF2, Keras); thread-safe; ``close`` frees its memory.

    Attributes:
        path: the version directory.
        signatures: by name, without TensorFlow's internal ones.
        signature_defs: all SignatureDef messages, by name.
        tensorflow_version: the version of TensorFlow that wrote the model.
    """

    def __init__(self, path: Path, session: Session, meta_graph: MetaGraph, files: contextlib.ExitStack) -> None:
        """``files``: what the session reads until it is closed."""
        self.path = path
        self._files = files
        self.signature_defs: dict[str, Any] = meta_graph.signature_defs
        self.signatures: dict[str, SignatureInfo] = signature_infos(meta_graph.signature_defs)
        self.tensorflow_version = meta_graph.tensorflow_version
        self._session = session

    @classmethod
    def load(
        cls, path: str | Path, *, tags: Sequence[str] = ("serve",), config: bytes = b"", check_graph: bool = True
    ) -> Engine:
        """Load a version directory.

        Args:
            path: holds ``saved_model.pb`` or ``saved_model.pbtxt``.
            tags: choose the meta graph; all must match.
            config: a serialized tensorflow.ConfigProto.
            check_graph: refuse graphs that would make TensorFlow end the process; not needed after an inspection.

        Raises:
            StatusError: the code and text of TensorFlow's own loader; ``DataLossError`` for such a graph.
            MissingExtraError: TensorFlow is not installed.
        """
        folder = Path(path)
        if check_graph:
            _refuse_unsound(folder)
        with contextlib.ExitStack() as kept:
            try:
                session, meta_graph = Session.load(folder, tags, config)
            except InvalidArgumentError as error:
                if not contradicts_shape_hints(error):
                    raise
                # its assets may be read as long as the model is open
                session, meta_graph = Session.load(kept.enter_context(without_shape_hints(folder)), tags, config)
            return cls(folder, session, read_meta_graph(meta_graph), kept.pop_all())

    def run(
        self,
        signature: str,
        inputs: Mapping[str, Array],
        *,
        output_filter: Sequence[str] = (),
        timeout: float | None = None,
    ) -> dict[str, Array]:
        """Run one signature; inputs and outputs are named as in the signature.

        Args:
            signature: its name.
            inputs: one array for each input; quantized ones of integers or in wire form, outputs are of integers.
            output_filter: the outputs to compute; all if empty.
            timeout: seconds.

        Raises:
            RequestError: an unknown signature, input or output; the hint names the closest one.
            StatusError: TensorFlow's code and text.
        """
        info = self.signatures.get(signature)
        if info is None:
            raise _unknown("signature", signature, self.signatures)
        if inputs.keys() != info.inputs.keys():
            _check_names(info, inputs)
            inputs = {**self._defaults(info), **inputs}
        names = list(output_filter) or list(info.outputs)
        for name in names:
            if name not in info.outputs:
                raise _unknown("output", name, info.outputs)
        sent = quantized_inputs(info.inputs, inputs)
        feeds = {spec.tensor: sent[name] for name, spec in info.inputs.items()}
        results = self.compute(feeds, [info.outputs[name].tensor for name in names], timeout=timeout)
        return dict(zip(names, map(integers, results), strict=True))

    def _defaults(self, info: SignatureInfo) -> dict[str, Array]:
        tensors = self.signature_defs[info.name].defaults
        return {name: decode_tensor(tensors[name].SerializeToString()) for name in info.defaults}

    def compute(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout: float | None = None
    ) -> list[Array]:
        """Feed and fetch tensors by their names in the graph; raises ``StatusError``."""
        return self._session.run(feeds, fetches, timeout=timeout)

    def close(self) -> None:
        """Wait for running calls and free the model's memory; further calls fail."""
        self._session.close()
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _refuse_unsound(folder: Path) -> None:
    """Raise ``DataLossError`` for a graph that parses but is unsound; TensorFlow itself reports all other damage."""
    try:
        scan_saved_model(graph_file(folder))
    except ModelError as error:
        if isinstance(error.__cause__, UnsoundError):
            raise DataLossError(error.message, hint=error.hint) from error


def _check_names(info: SignatureInfo, inputs: Mapping[str, Array]) -> None:
    for name in inputs:
        if name not in info.inputs:
            raise _unknown("input", name, info.inputs)
    missing = [name for name in info.inputs if name not in inputs and name not in info.defaults]
    if missing:
        raise RequestError(
            f"signature {info.name!r} also needs input {', '.join(repr(name) for name in missing)}",
            hint=f"its inputs are {', '.join(info.inputs)}",
        )


def _unknown(kind: str, name: str, known: Mapping[str, Any]) -> RequestError:
    meant = did_you_mean(name, known, otherwise="")
    hint = f"{meant} {kind}s: {', '.join(sorted(known)) or 'none'}".lstrip()
    return RequestError(f"unknown {kind} {name!r}", hint=hint)
