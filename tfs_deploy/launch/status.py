# SPDX-License-Identifier: Apache-2.0
"""What a deployment's server serves at this moment, compared with what its file asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy.client.call.status_errors import is_missing
from tfs_deploy.deployment.active import apply_active, kept_notes
from tfs_deploy.deployment.deployment import command_arguments
from tfs_deploy.errors import Code, EnvironmentFault, NotFoundError, TfsDeployError
from tfs_deploy.launch.client import client_for
from tfs_deploy.launch.server_state import (
    USUAL_LABELS,
    endpoint_problems,
    label_notes,
    label_problems,
    labelled_versions,
    version_numbers,
    written_config,
)
from tfs_deploy.launch.targets import stranger_notes, target_of
from tfs_deploy.state.active import active_path, read_active
from tfs_deploy.state.journal import unfinished_rollout
from tfs_deploy.state.lock import rollout_holder
from tfs_deploy.state.traffic import read_traffic, traffic_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.client import Client, VersionStatus
    from tfs_deploy.deployment.deployment import Deployment, Model
    from tfs_deploy.launch.server import StartedServer


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of one model: its state, the labels that reach it, the percentage of traffic it gets."""

    model: str
    version: int | None
    state: str
    labels: tuple[str, ...] = field(default=())
    traffic: float | None = None
    message: str = ""
    wanted: bool = True

    @property
    def good(self) -> bool:
        """Whether this row is as the deployment file wants it."""
        return not self.wanted or self.state == "AVAILABLE"

    def document(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {
            "version": self.version,
            "state": self.state,
            "labels": list(self.labels),
            "traffic": self.traffic,
            "message": self.message,
            "wanted": self.wanted,
        }


@dataclass(frozen=True, slots=True)
class Overview:
    """A deployment's server and its versions; ``ended`` tells that one was started and is gone, ``why`` the reason.

    ``problems``: labels that clients or the file count on and that do not lead where they should, an endpoint file that
    does not lead to the server, and rollouts that are unfinished with no process at work on them.
    """

    server: StartedServer | None
    rows: tuple[VersionRow, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    ended: bool = False
    why: str = ""
    problems: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the server runs, every version that is wanted is available, and there are no problems."""
        return self.server is not None and all(row.good for row in self.rows) and not self.problems


def overview(deployment: Deployment, *, timeout: float = 5.0) -> Overview:
    """Ask a deployment's server what it serves; raises ``StatusError`` if it runs and does not answer in time."""
    target = target_of(deployment)
    server = target.current()
    served, ended_records = apply_active(deployment, read_active(deployment.state_dir))
    problems, at_work = _unfinished(deployment)
    kept = [] if problems or at_work else kept_notes(deployment, served, active_path(deployment.state_dir))
    notes = [*ended_records, *at_work, *kept]
    if server is None:
        why, ended = (target.explain_end(), True) if target.ended() else ("", False)
        told = (*notes, *stranger_notes(deployment))
        return Overview(None, notes=told, ended=ended, why=why, problems=tuple(problems))
    split = read_traffic(traffic_path(deployment.state_dir)).models
    problems += endpoint_problems(deployment, server.grpc_address)
    known = _written_labels(served)
    rows: list[VersionRow] = []
    with client_for(deployment, server.grpc_address, timeout=timeout) as client:
        for model in served.models:
            of_model = split.get(model.name, {})
            asked = {*model.labels, *of_model, *known.get(model.name, ()), *USUAL_LABELS}
            reached = labelled_versions(client, model.name, asked)
            rows += _rows(client, model, reached, of_model)
            problems += label_problems(model.name, model.labels, reached, of_model)
            notes += label_notes(model.name, model.labels, reached)
    return Overview(server, tuple(rows), tuple(notes), problems=tuple(problems))


def unfinished_notes(deployment: Deployment) -> list[str]:
    """Return a line for each model whose rollout has not ended."""
    waiting, at_work = _unfinished(deployment)
    return [*waiting, *at_work]


def _unfinished(deployment: Deployment) -> tuple[list[str], list[str]]:
    """Return a line for each rollout that waits for a person, and for each that a process is at work on."""
    waiting, at_work = [], []
    for model in deployment.models:
        named = command_arguments(deployment, model.name)
        try:
            found = unfinished_rollout(deployment.state_dir, model.name)
        except EnvironmentFault as error:  # the rollout commands refuse it; the server can be looked at all the same
            waiting.append(f"{error.message}; {error.hint}")
            continue
        if found is not None and rollout_holder(deployment.state_dir, model.name) is None:
            waiting.append(f"{found}: tfs-deploy rollout resume {named}, or rollout abort {named}")
        elif found is not None:
            at_work.append(f"{found}, a process is at work on it: tfs-deploy rollout status {named}")
    return waiting, at_work


def _written_labels(served: Deployment) -> dict[str, list[str]]:
    """Return the labels in the config of the server, none where that cannot be read: then they are not asked for."""
    try:
        written = written_config(served.config_dir)
    except (OSError, TfsDeployError):
        return {}
    return {model.name: sorted(model.version_labels) for model in written.model_config_list.config}


def _rows(client: Client, model: Model, reached: Mapping[str, int], split: dict[str, float]) -> list[VersionRow]:
    wanted = _wanted(model)
    try:
        found = {status.version: status for status in client.status(model.name)}
    except NotFoundError as error:
        if not is_missing(error):
            raise
        return [VersionRow(model.name, None, "UNKNOWN", message=error.message)]
    rows = []
    for version in sorted(wanted | found.keys()):
        status = found.get(version)
        if version not in wanted and status is not None and status.state == "END" and status.code == Code.OK:
            continue  # the server lists retired versions for ever
        labels = tuple(sorted(label for label, target in reached.items() if target == version))
        share = sum(split.get(label, 0.0) for label in labels) if split else None
        rows.append(_row(model.name, version, status, labels, share, wanted=version in wanted))
    return rows


def _row(
    model: str,
    version: int,
    status: VersionStatus | None,
    labels: tuple[str, ...],
    share: float | None,
    *,
    wanted: bool,
) -> VersionRow:
    if status is None:
        return VersionRow(model, version, "UNKNOWN", labels, share, "the server does not know this version")
    return VersionRow(model, version, status.state, labels, share, status.message, wanted)


def _wanted(model: Model) -> set[int]:
    if model.version_policy.kind == "specific":
        return set(model.version_policy.versions)
    return set(model.version_policy.select(version_numbers(model.base_path)))
