# SPDX-License-Identifier: Apache-2.0
"""The demo's folder: its files, and the check that no other files are overwritten."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment.file.editor import schema_comment
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.host.tcp_ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

_MARK: Final = ".tfs-deploy-demo"
_DEPLOYMENT: Final = """\
# The deployment of `tfs-deploy demo`: handwritten digits, one model, one server on this machine.
name: digits

server:
  target: embedded
  grpc_port: {grpc_port}
  rest_port: {rest_port}

models:
  - name: digits
    base_path: models/digits
    versions: {{specific: [1, 2]}}
    labels: {{stable: 1}}
    traffic: {{stable: 100}}
"""


@dataclass(frozen=True)
class Folder:
    """The paths of all files that the demo writes."""

    root: Path

    @property
    def deployment(self) -> Path:
        """The deployment file."""
        return self.root / "digits.yaml"

    @property
    def models(self) -> Path:
        """The base path of the model."""
        return self.root / "models" / "digits"

    @property
    def report(self) -> Path:
        """The Markdown report, beside the models."""
        return self.root / "report.md"

    @property
    def row(self) -> Path:
        """One held-out scan, ready for ``tfs-deploy predict``."""
        return self.root / "row.json"

    @property
    def training_log(self) -> Path:
        """The output of TensorFlow during training."""
        return self.root / "training.log"

    @property
    def server_log(self) -> Path:
        """The server's log."""
        return self.root / "server.log"

    def reference(self, name: str) -> Path:
        """Return the file of the held-out rows (``rows``) or of Keras' answers of a version (``1``)."""
        return self.root / "reference" / f"{name}.npz"


def prepare(root: Path) -> Folder:
    """Return an empty demo folder; an earlier demo's is replaced.

    Raises:
        UsageError: the folder holds other files, or its server is still running.
        EnvironmentFault: the folder cannot be written.
    """
    try:
        if root.exists() and not root.is_dir():
            raise UsageError(f"{root} is a file", hint="name another directory: tfs-deploy demo --dir DIRECTORY")
        if root.is_dir() and any(root.iterdir()):
            _require_mark(root)
            _require_stopped(root)
            shutil.rmtree(root)
        root.mkdir(parents=True, exist_ok=True)
        (root / _MARK).touch()
    except OSError as error:
        raise EnvironmentFault(
            f"{root} cannot be written: {error.strerror}",
            hint="name another directory: tfs-deploy demo --dir DIRECTORY",
        ) from error
    return Folder(root)


def write_deployment(folder: Folder) -> None:
    """Write the deployment file, with two free ports."""
    grpc_port, rest_port = free_ports(2)
    text = _DEPLOYMENT.format(grpc_port=grpc_port, rest_port=rest_port)
    folder.deployment.write_text(schema_comment(folder.root) + text, encoding="utf-8")


def _require_mark(root: Path) -> None:
    if not (root / _MARK).exists():
        raise UsageError(
            f"{root} is not empty and was not made by an earlier demo",
            hint="name another directory: tfs-deploy demo --dir DIRECTORY",
        )


def _require_stopped(root: Path) -> None:
    from tfs_deploy.deployment.deployment import state_dir_of
    from tfs_deploy.launch.embedded.record import running_server

    deployment = Folder(root).deployment
    if running_server(state_dir_of(deployment, "digits")) is not None:
        raise UsageError(f"the server of {deployment} is still running", hint=f"tfs-deploy down {deployment}")
