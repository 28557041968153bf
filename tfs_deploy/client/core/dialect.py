# SPDX-License-Identifier: Apache-2.0
"""The interface of the two APIs, gRPC and REST: how requests are written and replies are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.call.inference_replies import Task, TaskReply
    from tfs_deploy.client.call.model_ref import ModelRef
    from tfs_deploy.client.call.model_replies import ModelMetadata, VersionStatus
    from tfs_deploy.client.call.predict_request import PredictRequest
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike
    from tfs_deploy.protos.signatures import SignatureInfo


class Dialect(Protocol):
    """One API of the model server, gRPC or REST, without I/O."""

    #: whether reading a reply needs the signature (JSON has no dtypes)
    needs_signature: bool
    #: seconds for which metadata of an unpinned version is trusted; ``inf`` if replies carry the version
    metadata_age: float

    def predict(self, request: PredictRequest, inputs: Mapping[str, Any]) -> Call:
        """Return the call for a Predict."""

    def frame(self, request: PredictRequest) -> tuple[bytes, ...] | None:
        """Return the bytes around the arrays of a Predict; ``None`` if the arrays' memory is not sent as it is."""

    def read_predict(self, data: bytes, request: PredictRequest, signature: SignatureInfo | None) -> PredictReply:
        """Return the reply to a Predict."""

    def inference(
        self,
        method: str,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        signature: str | None,
    ) -> Call:
        """Return the call for a Classify or Regress (``method`` in lower case)."""

    def read_inference(self, method: str, data: bytes, ref: ModelRef, signature: str | None) -> TaskReply:
        """Return the reply to a Classify or Regress."""

    def tasks(
        self,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        tasks: list[Task],
    ) -> Call:
        """Return the call for a MultiInference."""

    def read_tasks(self, data: bytes) -> list[TaskReply]:
        """Return the replies to a MultiInference, in the order of the tasks."""

    def status(self, ref: ModelRef) -> Call:
        """Return the call for the states of a model's versions."""

    def read_status(self, data: bytes) -> list[VersionStatus]:
        """Return the states, highest version first."""

    def metadata(self, ref: ModelRef) -> Call:
        """Return the call for the signatures of a version."""

    def read_metadata(self, data: bytes) -> ModelMetadata:
        """Return the signatures."""

    def reload(self, config: Any) -> Call:
        """Return the call for a ReloadConfig."""

    def read_reload(self, data: bytes) -> None:
        """Raise the error that the reply may carry."""
