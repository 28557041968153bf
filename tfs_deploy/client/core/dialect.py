"""What a transport has to know of the model server's API: how requests are written and replies read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfs_deploy.client.call.example_replies import Task, TaskReply
    from tfs_deploy.client.call.replies import ModelMetadata, ModelRef, VersionStatus
    from tfs_deploy.client.call.request import PredictRequest
    from tfs_deploy.client.call.steps import Call
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike
    from tfs_deploy.protos.signatures import SignatureInfo


class Dialect(Protocol):
    """gRPC or REST, without I/O."""

    #: whether a reply can only be read with the signature at hand (JSON has no dtypes)
    needs_signature: bool
    #: how many seconds metadata of an unpinned version is believed; ``inf`` where replies carry the version
    metadata_age: float

    def predict(self, request: PredictRequest, inputs: Mapping[str, Any]) -> Call:
        """Write a Predict."""

    def frame(self, request: PredictRequest) -> tuple[bytes, ...] | None:
        """Return the bytes around the arrays of a Predict; ``None`` where it is not made of the arrays' memory."""

    def read_predict(self, data: bytes, request: PredictRequest, signature: SignatureInfo | None) -> PredictReply:
        """Read the answer to a Predict."""

    def inference(
        self,
        method: str,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        signature: str | None,
    ) -> Call:
        """Write a Classify or Regress (``method`` in lower case)."""

    def read_inference(self, method: str, data: bytes, ref: ModelRef, signature: str | None) -> TaskReply:
        """Read the answer to a Classify or Regress."""

    def tasks(
        self,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        tasks: list[Task],
    ) -> Call:
        """Write a MultiInference."""

    def read_tasks(self, data: bytes) -> list[TaskReply]:
        """Read the answer to a MultiInference, in the order of the tasks."""

    def status(self, ref: ModelRef) -> Call:
        """Ask for the states of a model's versions."""

    def read_status(self, data: bytes) -> list[VersionStatus]:
        """Read the states, highest version first."""

    def metadata(self, ref: ModelRef) -> Call:
        """Ask for the signatures of a version."""

    def read_metadata(self, data: bytes) -> ModelMetadata:
        """Read the signatures."""

    def reload(self, config: Any) -> Call:
        """Write a ReloadConfig."""

    def read_reload(self, data: bytes) -> None:
        """Raise the error that the answer may carry."""
