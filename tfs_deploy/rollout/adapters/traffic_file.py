# SPDX-License-Identifier: Apache-2.0
"""The traffic of a deployment: the file that ``Router`` follows, and the only place where a rollout changes it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.rollout.machine.traffic_split import TrafficSplit
from tfs_deploy.state.traffic import read_traffic, set_aside_if_damaged, traffic_path, write_traffic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.deployment import Deployment

_LOG = logging.getLogger(__name__)


class TrafficFile:
    """One model's split in the deployment's traffic file (a ``TrafficControl``)."""

    def __init__(self, deployment: Deployment, model: str) -> None:
        self.path = traffic_path(deployment.state_dir)
        self._model = model
        self._others = {other.name: other.traffic for other in deployment.models if other.traffic}

    def read(self) -> TrafficSplit | None:
        """Return the split without shares of 0; ``None`` without one, or when the file is damaged."""
        try:
            traffic = read_traffic(self.path)
        except EnvironmentFault:  # writing reports it
            return None
        weights = traffic.models.get(self._model)
        copies = traffic.copies.get(self._model, {})
        return None if weights is None else TrafficSplit(_positive(weights), _positive(copies))

    def write(self, split: TrafficSplit) -> None:
        """Replace the split at once; raises ``EnvironmentFault``.

        A damaged file is moved aside (``.damaged``): nothing may hold up a rollback.
        """
        damaged = set_aside_if_damaged(self.path)
        if damaged is not None:
            _LOG.warning("the traffic file %s is damaged: moved it to %s and wrote a new one", self.path, damaged.name)
            for model, weights in self._others.items():
                write_traffic(self.path, model, weights)
        write_traffic(self.path, self._model, split.weights, copies=split.copies)


def _positive(shares: Mapping[str, float]) -> dict[str, float]:
    return {label: share for label, share in shares.items() if share > 0}
