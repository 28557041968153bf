"""Requests like an earlier one: the same model and signature, arrays of the same names, dtypes and shapes.

What the earlier one was checked for holds for them too, and all their bytes but the arrays' memory are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.client.values import ModelRef

_MAX_PLANS: Final = 256


class Plan(NamedTuple):
    """How a request is written: the bytes around its arrays; ``version`` is the one that its check is good for."""

    ref: ModelRef
    path: str
    frame: tuple[bytes, ...]
    version: int | None


class Plans:
    """Plans by what a request looks like; all are forgotten together."""

    __slots__ = ("_plans",)

    def __init__(self) -> None:
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def write(
        self, ref: ModelRef, inputs: Mapping[str, Any], signature: str | None, output_filter: tuple[str, ...]
    ) -> tuple[Plan, bytes] | None:
        """Return a request that is like an earlier one, and its plan; ``None`` if it is not, or an array is strided."""
        key: list[Any] = [ref, signature, output_filter]
        for name, value in inputs.items():
            if type(value) is not np.ndarray:
                return None
            key += (name, value.dtype, value.shape)
        plan = self._plans.get(tuple(key))
        if plan is None:
            return None
        parts: list[Any] = [None] * (2 * len(inputs) + 1)
        parts[::2] = plan.frame
        parts[1::2] = inputs.values()
        try:
            return plan, b"".join(parts)
        except TypeError:
            return None

    def keep(
        self, plan: Plan, inputs: Mapping[str, Any], signature: str | None, output_filter: tuple[str, ...]
    ) -> None:
        """Keep the plan of a request that was checked and whose inputs are arrays."""
        key: list[Any] = [plan.ref, signature, output_filter]
        for name, value in inputs.items():
            key += (name, value.dtype, value.shape)
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[tuple(key)] = plan

    def forget(self) -> None:
        """Forget all plans: a server's signatures may have changed."""
        self._plans.clear()
