"""The world of a real rollout: a server behind a client, config files, the traffic file, the model's directories."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.client import read_traffic, write_traffic
from tfs_deploy.config import ActiveModel, model_server_config, read_active, write_active, write_config
from tfs_deploy.errors import EnvironmentFault, InvalidArgumentError, ModelError, NotFoundError, StatusError
from tfs_deploy.rollout.ports import CheckResult, ServerView, VersionView
from tfs_deploy.savedmodel.manifest import read_manifest, verify_manifest
from tfs_deploy.savedmodel.versions import find_version
from tfs_deploy.verify.results import Outcome, Target
from tfs_deploy.verify.smoke import has_goldens, smoke_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tfs_deploy.client import Client
    from tfs_deploy.config import Deployment
    from tfs_deploy.rollout.plan import Plan
    from tfs_deploy.verify.smoke import Predictor

TRAFFIC_FILE: Final = "traffic.json"
#: seconds that a server may take for a look, and for a reload of known models, which does not wait for loads
_LOOK: Final = 3.0
_RELOAD: Final = 30.0


class DeployedServer:
    """One model of a deployment on its running server."""

    def __init__(self, deployment: Deployment, model: str, client: Client) -> None:
        self._deployment = deployment
        self._model = deployment.model(model)
        self._client = client

    def observe(self, labels: Iterable[str]) -> ServerView:
        """Ask for the states, and for each label which version it answers with (GetModelStatus ignores labels)."""
        try:
            found = self._client.status(self._model.name, timeout=_LOOK)
        except NotFoundError:
            return ServerView()
        versions = {status.version: VersionView(status.state, int(status.code), status.message) for status in found}
        answers = {label: self._version_of(label) for label in labels}
        return ServerView(versions, {label: version for label, version in answers.items() if version is not None})

    def apply(self, versions: tuple[int, ...], labels: Mapping[str, int]) -> None:
        """Write the files, then send the same content; a refusal puts the files back.

        The file comes first because a server that polls it, or restarts, follows the file and not the reload.
        """
        before = read_active(self._deployment.state_dir)
        after = {**before, self._model.name: ActiveModel.of(self._model, versions, labels)}
        self._write(after)
        try:
            self._client.reload(model_server_config(self._deployment, after), timeout=_RELOAD)
        except StatusError as error:
            if not error.retriable:
                self._write(before)
            raise

    def _write(self, active: Mapping[str, ActiveModel]) -> None:
        write_config(self._deployment, self._deployment.config_dir, active)
        write_active(self._deployment.state_dir, active)

    def _version_of(self, label: str) -> int | None:
        try:
            return self._client.metadata(self._model.name, label=label, timeout=_LOOK).version
        except (InvalidArgumentError, NotFoundError):  # no such label; a label whose version is gone
            return None


class TrafficFile:
    """One model's weights in the deployment's traffic file, which routers follow."""

    def __init__(self, deployment: Deployment, model: str) -> None:
        self.path: Path = deployment.state_dir / TRAFFIC_FILE
        self._model = model

    def read(self) -> Mapping[str, float] | None:
        """Return the weights that are not 0; ``None`` when there are none, or the file is damaged."""
        try:
            weights = read_traffic(self.path).models.get(self._model)
        except EnvironmentFault:  # writing will say so
            return None
        return None if weights is None else {label: weight for label, weight in weights.items() if weight > 0}

    def write(self, weights: Mapping[str, float]) -> None:
        """Replace the weights at once; raises ``EnvironmentFault``."""
        write_traffic(self.path, self._model, weights)


@dataclass(frozen=True, slots=True)
class FileChecks:
    """Checks with the model's files and with the answers recorded in them."""

    model: str
    base_path: Path
    clients: Mapping[str, Predictor]

    def preflight(self, plan: Plan) -> CheckResult:
        """Judge the new version's files: intact, with recorded answers."""
        notes = []
        try:
            folder = find_version(self.base_path, plan.new).path
            if read_manifest(folder) is None:
                notes.append(f"version {plan.new} has no manifest, so its files were not verified")
            elif problems := verify_manifest(folder):
                return CheckResult(ok=False, reason=f"the files are not what was exported: {problems[0]}")
            if not has_goldens(self.base_path, plan.new):
                if plan.need_goldens:
                    return CheckResult(ok=False, reason=f"version {plan.new} has no recorded answers to compare with")
                notes.append(f"version {plan.new} has no recorded answers, so its values are not compared")
        except ModelError as error:
            return CheckResult(ok=False, reason=error.message)
        return CheckResult(ok=True, notes=tuple(notes))

    def smoke(self, version: int) -> CheckResult:
        """Ask the new version by number, over every transport, while no label points at it."""
        return self.ask(Target(version=version))

    def golden(self, label: str, version: int) -> CheckResult:
        """Ask a label, and expect the recorded answers of ``version``."""
        return self.ask(Target(label, version))

    def ask(self, target: Target) -> CheckResult:
        """Run the smoke checks of one label or version and sum them up; the first real failure is the reason."""
        checks = list(smoke_target(self.model, self.base_path, target, self.clients))
        failed = sorted((check for check in checks if check.failed), key=lambda check: check.retriable)
        if failed:
            return CheckResult(ok=False, reason=str(failed[0]), retriable=failed[0].retriable)
        notes = tuple(str(check) for check in checks if check.outcome is Outcome.SKIPPED)
        compared = sum(check.outcome is Outcome.OK for check in checks) - len(self.clients)
        return CheckResult(ok=True, reason=f"{compared} answers as expected", notes=notes)


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)
