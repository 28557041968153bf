"""The parts of a client that others need, so that they take any: one of the four, or one of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from typing_extensions import Unpack

    from tfs_deploy.client.call.replies import ModelMetadata
    from tfs_deploy.client.call.request import PredictOptions
    from tfs_deploy.codec import PredictReply


class PredictingClient(Protocol):
    """Predicts; see ``Client.predict``."""

    def predict(self, model: str, inputs: Mapping[str, Any], **options: Unpack[PredictOptions]) -> PredictReply:
        """Send one request; raises ``StatusError`` or ``RequestError``."""


class AwaitedClient(Protocol):
    """Predicts, awaited."""

    def predict(
        self, model: str, inputs: Mapping[str, Any], **options: Unpack[PredictOptions]
    ) -> Awaitable[PredictReply]:
        """Send one request; raises ``StatusError`` or ``RequestError``."""


class Predictor(PredictingClient, Protocol):
    """Predicts, and knows which version answers and what its signatures are."""

    def metadata(self, model: str, *, version: int | None = None, label: str | None = None) -> ModelMetadata:
        """Ask which version answers, and for its signatures."""
