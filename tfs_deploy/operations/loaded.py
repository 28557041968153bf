# SPDX-License-Identifier: Apache-2.0
"""What ``Deployment`` and ``AsyncDeployment`` share: the values of the file, its models, rollouts and clients."""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from tfs_deploy import deployment as values
from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

    from tfs_deploy.errors import Problem
    from tfs_deploy.rollout import Rollout

_LOG = logging.getLogger(__name__)


def _log_advice(problem: Problem) -> None:
    _LOG.warning("%s", problem)


class LoadedDeployment(values.Deployment):
    """The values of a deployment (``tfs_deploy.deployment.Deployment``), as ``load`` reads them from its file."""

    __slots__ = ()

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        check_disk: bool = True,
        allow_latest: bool = False,
        on_advice: Callable[[Problem], None] = _log_advice,
    ) -> Self:
        """Read a deployment file; relative paths in it start at its folder.

        Args:
            path: the file.
            check_disk: also check what it names: base paths, version directories, labels, certificates, image tags.
            allow_latest: accept image tags that may move, such as ``latest``.
            on_advice: called for each thing that is allowed but rarely meant; by default a warning in the log.

        Raises:
            SpecError: the file has mistakes; every one is told.
            UsageError: there is no such file.
            MissingExtraError: the extra ``cli``, which reads the file, is not installed.
        """
        from tfs_deploy.deployment.file import load_deployment, load_with_advice
        from tfs_deploy.state.active import in_force

        if not check_disk:
            return cls.of(load_deployment(path))
        found, advice = load_with_advice(path, allow_latest=allow_latest, in_force=in_force)
        for problem in advice:
            on_advice(problem)
        return cls.of(found)

    @classmethod
    def of(cls, deployment: values.Deployment) -> Self:
        """Return the same deployment with the operations of this class."""
        return cls(**{each.name: getattr(deployment, each.name) for each in fields(values.Deployment)})

    def model_name(self, name: str | None = None) -> str:
        """Return the name of a model of the deployment; a deployment with one model needs none.

        Raises ``UsageError`` for an unknown model, and where several would do.
        """
        from tfs_deploy.smoke.targets import find_model

        if name is not None:
            return find_model(self, name).name
        if len(self.models) == 1:
            return self.models[0].name
        names = ", ".join(model.name for model in self.models)
        raise UsageError(f"{self.source} has several models", hint=f"name one with --model: {names}")

    def rollout(self, model: str | None = None, to: int | None = None, **options: Any) -> Rollout:
        """Return the rollout of a model to version ``to`` (default: the newest), to ``run`` or ``run_async``.

        A version that is only in the store of the model is pulled first.

        ``options``: those of ``Rollout``, such as ``steps``, ``bake``, ``gates`` and ``wait_lock``. An unfinished
        rollout of the model is continued.
        """
        from tfs_deploy.rollout import Rollout

        return Rollout(self, self.model_name(model), to, **options)

    def rollback(self, model: str | None = None, to: int | None = None, **options: Any) -> Rollout:
        """Return the rollout of a model back to an earlier version at once, by default the one that was stable before.

        ``options``: see ``Rollout.back``.
        """
        from tfs_deploy.rollout import Rollout

        return Rollout.back(self, self.model_name(model), to, **options)

    @property
    def traffic_file(self) -> Path:
        """The file with the split of requests over labels, for ``Router``."""
        from tfs_deploy.state.traffic import traffic_path

        return traffic_path(self.state_dir)
