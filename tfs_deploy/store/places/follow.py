# SPDX-License-Identifier: Apache-2.0
"""Keep the base paths of a deployment in step with the stores of its models.

What to pull and when to look again are decided by pure functions; ``Follower`` acts, and reports instead of failing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import TfsDeployError, UsageError
from tfs_deploy.savedmodel.versions import list_versions
from tfs_deploy.state.active import read_active
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import Pulled, pull_for
from tfs_deploy.store.retention import prune

if TYPE_CHECKING:
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.deployment.address import Address
    from tfs_deploy.deployment.deployment import Model, VersionPolicy
    from tfs_deploy.store.places.place import Place, Report

#: seconds beyond which failures do not lengthen the wait
_LONGEST: Final = 300.0
#: by how much a wait differs from the asked one, so that a fleet does not ask all at once
_JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    """What happened with one model: a version that was pulled or was there, versions pruned, or what failed."""

    model: str
    pulled: Pulled | None = None
    pruned: tuple[int, ...] = ()
    error: TfsDeployError | None = None


def versions_to_pull(
    published: Collection[int], local: Collection[int], policy: VersionPolicy, named: Collection[int]
) -> list[int]:
    """Return the numbers to pull, ascending: what the policy serves and labels or rollouts name, unless it is here.

    Ascending, so that under ``latest`` the server never goes back.
    """
    wanted = {*policy.select({*published, *local}), *named}
    return sorted(number for number in wanted if number in published and number not in local)


def next_wait(every: float, failures: int, draw: float) -> float:
    """Return the seconds until the next look. ``draw`` is a random number from 0 to 1.

    After failures in a row it doubles each time, up to five minutes (or ``every``, if that is longer).
    """
    longest = max(every, _LONGEST)
    base = min(longest, every * 2.0 ** min(failures, 30))
    return float(base * (1 + _JITTER * (2 * draw - 1)))


class Follower:
    """Brings the versions that a deployment names into its base paths, each time that ``poll`` is called."""

    def __init__(
        self,
        file: Path,
        *,
        model: str | None = None,
        keep: int | None = None,
        report: Report | None = None,
        opened: Callable[[Address], Place] = open_place,
    ) -> None:
        self._file, self._model, self._keep = file, model, keep
        self._report, self._opened = report, opened
        self._places: dict[Address, Place] = {}
        for each in self.models()[1]:  # mistakes in the file, and an extra that is missing, are told at once
            self._place(each)

    def models(self) -> tuple[Deployment, list[Model]]:
        """Read the file; ``UsageError`` if no model of it has a store, or the asked one has none."""
        deployment = load_deployment(self._file)
        known = [model.name for model in deployment.models]
        if self._model is not None and self._model not in known:
            raise UsageError(f"{self._file} has no model {self._model!r}", hint=f"its models: {', '.join(known)}")
        found = [model for model in deployment.models if model.store is not None and self._model in (None, model.name)]
        if not found:
            which = "no model" if self._model is None else f"no store for model {self._model!r}"
            named = f"{which} with a store" if self._model is None else which
            hint = (
                "add store: s3://BUCKET/PREFIX beside base_path, or give the address: tfs-deploy pull PLACE --to BASE"
            )
            raise UsageError(f"{self._file} names {named}", hint=hint)
        return deployment, found

    def poll(self) -> Iterator[Step]:
        """Look once at each store, by one LIST, pull what is new, and remove what retention lets go.

        A failure is a step with its error; the other models go on.
        """
        try:
            deployment, models = self.models()
            active = read_active(deployment.state_dir)
        except TfsDeployError as error:
            yield Step(self._model or str(self._file), error=error)
            return
        for model in models:
            record = active.get(model.name)
            named = {*model.labels.values(), *(() if record is None else (*record.versions, *record.labels.values()))}
            try:
                yield from self._step(deployment, model, named)
            except TfsDeployError as error:
                yield Step(model.name, error=error)

    def _place(self, model: Model) -> Place:
        assert model.store is not None
        if model.store not in self._places:
            self._places[model.store] = self._opened(model.store)
        return self._places[model.store]

    def _step(self, deployment: Deployment, model: Model, named: Collection[int]) -> Iterator[Step]:
        place = self._place(model)
        base = model.base_path
        for number in versions_to_pull(place.versions(), _local(base), model.version_policy, named):
            yield Step(model.name, pull_for(deployment, model, number, place, report=self._report))
        here = _local(base)
        # under ``all`` every version is served
        if self._keep is not None and len(here) > self._keep and model.version_policy.kind != "all":
            pruned = tuple(prune(base, self._keep, [self._file], max(here)))
            if pruned:
                yield Step(model.name, pruned=pruned)


def wait_after(every: float, failures: int) -> float:
    """Return how many seconds to wait after so many polls in a row that failed."""
    return next_wait(every, failures, random.random())  # noqa: S311 - jitter is no secret


def _local(base: Path) -> list[int]:
    return [version.number for version in list_versions(base)] if base.exists() else []
