"""Requests like an earlier one: the same model and signature, arrays of the same names, dtypes and shapes.

What the earlier one was checked for holds for them too, and all their bytes but the arrays' memory are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tfs_deploy.client.call.steps import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.client.call.request import PredictRequest

_MAX_PLANS: Final = 256


class Plan(NamedTuple):
    """How a request is written: the bytes around its arrays; ``version`` is the one that its check is good for."""

    path: str
    frame: tuple[bytes, ...]
    version: int | None


class Plans:
    """Plans by what a request looks like; all are forgotten together."""

    __slots__ = ("_plans",)

    def __init__(self) -> None:
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def write(self, request: PredictRequest, timeout: float) -> Call | None:
        """Return a request that is like an earlier one; ``None`` if it is not, or an array is strided."""
        inputs = request.inputs
        key: tuple[Any, ...] = (request.ref, request.signature, request.output_filter)
        for name, value in inputs.items():
            if type(value) is not np.ndarray:
                return None
            key += (name, value.dtype, value.shape)
        plan = self._plans.get(key)
        if plan is None:
            return None
        frame = plan.frame
        try:
            # most requests have one input, and this is run for every call
            body = b"".join((frame[0], value, frame[1]) if len(frame) == 2 else _interleaved(frame, inputs))
        except TypeError:
            return None
        return Call(plan.path, body, timeout, request.record.began + timeout, plan)

    def keep(self, plan: Plan, request: PredictRequest) -> None:
        """Keep the plan of a request that was checked and whose inputs are arrays."""
        key: tuple[Any, ...] = (request.ref, request.signature, request.output_filter)
        for name, value in request.inputs.items():
            key += (name, value.dtype, value.shape)
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[key] = plan

    def forget(self) -> None:
        """Forget all plans: a server's signatures may have changed."""
        self._plans.clear()


def _interleaved(frame: tuple[bytes, ...], inputs: Mapping[str, Any]) -> list[Any]:
    parts: list[Any] = [None] * (2 * len(inputs) + 1)
    parts[::2] = frame
    parts[1::2] = inputs.values()
    return parts
