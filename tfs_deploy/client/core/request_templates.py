# SPDX-License-Identifier: Apache-2.0
"""Templates of Predict requests, for requests like an earlier one: same model and signature, arrays of the same shapes.

The checks that the earlier request passed hold for them too, and all their bytes but the arrays' memory are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tfs_deploy.client.call.call import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.client.call.predict_request import PredictRequest

_MAX_TEMPLATES: Final = 256


class RequestTemplate(NamedTuple):
    """How to write a request.

    Attributes:
        path: the path of the gRPC method.
        frame: the bytes around the arrays.
        version: the model version that the inputs were checked against.
    """

    path: str
    frame: tuple[bytes, ...]
    version: int | None


class RequestTemplates:
    """Templates by model, signature, output filter and inputs (names, dtypes, shapes); all are forgotten together."""

    __slots__ = ("_templates",)

    def __init__(self) -> None:
        self._templates: dict[tuple[Any, ...], RequestTemplate] = {}

    def write(self, request: PredictRequest, timeout: float) -> Call | None:
        """Return the call for a request; ``None`` if there is no template for it, or an array is strided."""
        inputs = request.inputs
        key: tuple[Any, ...] = (request.ref, request.signature, request.output_filter)
        for name, value in inputs.items():
            if type(value) is not np.ndarray:
                return None
            key += (name, value.dtype, value.shape)
        template = self._templates.get(key)
        if template is None:
            return None
        path, frame, version = template
        try:
            # most requests have one input, and this runs for every call
            body = b"".join((frame[0], value, frame[1]) if len(frame) == 2 else _interleave(frame, inputs))
        except TypeError:
            return None
        # positions, not keywords: this runs for every call
        return Call(path, body, timeout, request.record.began + timeout, version)

    def keep(self, template: RequestTemplate, request: PredictRequest) -> None:
        """Keep the template of a request that was checked and whose inputs are arrays."""
        key: tuple[Any, ...] = (request.ref, request.signature, request.output_filter)
        for name, value in request.inputs.items():
            key += (name, value.dtype, value.shape)
        if len(self._templates) >= _MAX_TEMPLATES:
            self._templates.clear()
        self._templates[key] = template

    def forget(self) -> None:
        """Forget all templates: the signatures on the server may have changed."""
        self._templates.clear()


def _interleave(frame: tuple[bytes, ...], inputs: Mapping[str, Any]) -> list[Any]:
    parts: list[Any] = [None] * (2 * len(inputs) + 1)
    parts[::2] = frame
    parts[1::2] = inputs.values()
    return parts
