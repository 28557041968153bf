# SPDX-License-Identifier: Apache-2.0
"""The parts of a client that other code needs, so that it accepts any client: one of the four, or a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from typing_extensions import Unpack

    from tfs_deploy.client.call.model_replies import ModelMetadata
    from tfs_deploy.client.call.predict_request import PredictOptions
    from tfs_deploy.codec import PredictReply


class PredictClient(Protocol):
    """A client with ``predict``."""

    def predict(self, model: str, inputs: Mapping[str, Any], **options: Unpack[PredictOptions]) -> PredictReply:
        """Send one request and return the reply; raises ``StatusError`` or ``RequestError``."""


class AsyncPredictClient(Protocol):
    """An asynchronous client with ``predict``."""

    def predict(
        self, model: str, inputs: Mapping[str, Any], **options: Unpack[PredictOptions]
    ) -> Awaitable[PredictReply]:
        """Send one request and return the reply; raises ``StatusError`` or ``RequestError``."""


class Predictor(PredictClient, Protocol):
    """A client with ``predict`` and ``metadata``."""

    def metadata(self, model: str, *, version: int | None = None, label: str | None = None) -> ModelMetadata:
        """Return the signatures and the number of the version that answers."""
