# SPDX-License-Identifier: Apache-2.0
"""What the server answers, once for gRPC and REST: plain values in, arrays and results out.

The adapters in ``grpc`` and ``rest`` turn bytes and JSON into these calls, and name the metrics of their requests.
Whether requests are batched is the business of the servable's runner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.errors import NotFoundError
from tfs_deploy.server.inference.classification import run_classify
from tfs_deploy.server.inference.examples import example_count
from tfs_deploy.server.inference.filled_budget import FilledBudget
from tfs_deploy.server.inference.multi_inference import run_multi_inference
from tfs_deploy.server.inference.predict import check_call, run_predict
from tfs_deploy.server.inference.regression import run_regress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.codec import PredictCall
    from tfs_deploy.server.inference.servable import ModelServable
    from tfs_deploy.server.metrics import ServerMetrics
    from tfs_deploy.server.models.server_core import ServerCore
    from tfs_deploy.server.models.states import VersionState

Array = np.ndarray[Any, Any]
#: a version and its servable
FoundServable = tuple[int, "ModelServable"]

#: the client's message for an unexpected failure
UNEXPECTED_FAILURE: Final = "the server failed to answer; its log has the details"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The model that a request is for: its name and at most one of version and label."""

    name: str
    version: int | None = None
    label: str | None = None
    signature: str = ""


class DataPlane:
    """Answers requests with the servables of a core; every failure is a ``StatusError`` with the server's text.

    Args:
        core: knows the servables.
        metrics: for the adapters, which count their requests.
        check_method: refuse signatures of another API, as with --enable_signature_method_name_check.

    Attributes:
        find: model, version, label -> version and servable; see ``ServerCore.find``.
    """

    def __init__(self, core: ServerCore, metrics: ServerMetrics, *, check_method: bool = False) -> None:
        self.core = core
        self.metrics = metrics
        # the loader makes no other servables
        self.find: Callable[[str, int | None, str | None], FoundServable] = core.find  # type: ignore[assignment]
        self._check_method = check_method
        self._filled = FilledBudget()

    def predict(
        self, call: PredictCall, timeout: float | None, *, found: FoundServable | None = None
    ) -> tuple[int, dict[str, Array]]:
        """Return the version that answered a call and its outputs by name; the hot path.

        Args:
            call: the request.
            timeout: in seconds.
            found: the servable of the call, where its signature was needed to read the inputs (JSON).
        """
        version, servable = found or self.find(call.model, call.version, call.label)
        if not call.filled_bytes:
            return version, run_predict(servable, call, timeout, check_method=self._check_method, api="Predict")
        # what the model refuses is refused with its own text, whatever other requests take
        check_call(servable, call, check_method=self._check_method)
        with self._filled.hold(call.filled_bytes):
            return version, run_predict(servable, call, timeout, check_method=self._check_method, api="Predict")

    def check_predict(self, call: PredictCall) -> None:
        """Raise what ``predict`` would before it looks at the values of the inputs; their names are enough."""
        _, servable = self.find(call.model, call.version, call.label)
        check_call(servable, call, check_method=self._check_method)

    def classify(self, spec: ModelSpec, examples: Any, timeout: float | None) -> tuple[int, Any]:
        """Return the version that answered and the ClassificationResult of an Input message."""
        version, servable = self.find(spec.name, spec.version, spec.label)
        return version, run_classify(
            servable, spec.signature, examples, timeout, check_method=self._check_method, api="Classify"
        )

    def regress(self, spec: ModelSpec, examples: Any, timeout: float | None) -> tuple[int, Any]:
        """Return the version that answered and the RegressionResult of an Input message."""
        version, servable = self.find(spec.name, spec.version, spec.label)
        return version, run_regress(
            servable, spec.signature, examples, timeout, check_method=self._check_method, api="Regress"
        )

    def multi_inference(
        self, spec: ModelSpec, tasks: Sequence[Any], examples: Any, timeout: float | None
    ) -> tuple[int, list[Any]]:
        """Return the version that answered and a result for each task of a MultiInferenceRequest."""
        version, servable = self.find(spec.name, spec.version, spec.label)
        results = run_multi_inference(servable, tasks, examples, timeout, check_method=self._check_method)
        servable.count_examples(example_count(examples))
        return version, results

    def status(self, spec: ModelSpec) -> list[VersionState]:
        """Return the states of a model's versions, or of one; labels do not count (get_model_status_impl.cc)."""
        if spec.version is not None:
            state = self.core.states.version(spec.name, spec.version)
            if state is None:
                raise NotFoundError(f"Could not find version {spec.version} of model {spec.name}")
            return [state]
        states = self.core.states.versions(spec.name)
        if not states:
            raise NotFoundError(f"Could not find any versions of model {spec.name}")
        return states
