# SPDX-License-Identifier: Apache-2.0
"""One served version of a model: the graph, and what a request needs of each signature, worked out once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfs_deploy.codec import decode_tensor
from tfs_deploy.protos.signatures import SignatureInfo, signature_info

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.server.metrics import ServerMetrics

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class ServedSignature:
    """A signature with its tensors: alias -> tensor name, and inputs that have a default value."""

    info: SignatureInfo
    definition: Any
    inputs: dict[str, str]
    outputs: dict[str, str]
    defaults: dict[str, Array] = field(default_factory=dict)
    #: the aliases of all outputs and their tensors, in the order in which they are fetched
    all_outputs: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @classmethod
    def from_definition(cls, name: str, definition: Any) -> ServedSignature:
        """Return a SignatureDef with what requests need of it."""
        info = signature_info(name, definition)
        outputs = {alias: spec.tensor for alias, spec in info.outputs.items()}
        return cls(
            info=info,
            definition=definition,
            inputs={alias: spec.tensor for alias, spec in info.inputs.items()},
            outputs=outputs,
            defaults={
                alias: decode_tensor(tensor.SerializeToString()) for alias, tensor in definition.defaults.items()
            },
            all_outputs=(tuple(outputs), tuple(outputs.values())),
        )


class Runner(Protocol):
    """Runs a graph: an engine, or the batching in front of one."""

    def compute(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout: float | None = None
    ) -> list[Array]:
        """Feed and fetch tensors by name."""

    def close(self) -> None:
        """Wait for running calls and free the model."""


class LoadedModel(Runner, Protocol):
    """A runner that knows its signatures."""

    @property
    def signature_defs(self) -> Mapping[str, Any]:
        """SignatureDef messages by name."""


class ModelServable:
    """A loaded version as requests see it.

    Args:
        engine: the model.
        name: its name in the metrics.
        metrics: where runs are counted.
        runner: stands in front of the engine, for batching.
    """

    def __init__(self, engine: LoadedModel, *, name: str, metrics: ServerMetrics, runner: Runner | None = None) -> None:
        self._runner: Runner = engine if runner is None else runner
        self._name = name
        self._metrics = metrics
        self.signature_defs = engine.signature_defs
        self.signatures = {
            name: ServedSignature.from_definition(name, definition) for name, definition in self.signature_defs.items()
        }

    def run(
        self, feeds: dict[str, Array], fetches: Sequence[str], *, api: str = "", timeout: float | None = None
    ) -> list[Array]:
        """Return the tensors of ``fetches``; raises ``StatusError`` with TensorFlow's text.

        A run for a request of an ``api`` (``Predict``) is measured, one for warmup is not.
        """
        started = time.perf_counter()
        results = self._runner.compute(feeds, fetches, timeout=timeout)
        if api:
            self._metrics.observe_run(self._name, api, (time.perf_counter() - started) * 1e6)
        return results

    def count_examples(self, count: int) -> None:
        """Count the tf.Examples of a request."""
        self._metrics.observe_examples(self._name, count)

    def close(self) -> None:
        """Wait for requests in flight and free the model."""
        self._runner.close()
