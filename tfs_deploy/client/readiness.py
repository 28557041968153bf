"""When a model is ready, by the states of its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.client.values import END
from tfs_deploy.errors import status_error

if TYPE_CHECKING:
    from tfs_deploy.client.values import ModelRef, VersionStatus


def judge(versions: list[VersionStatus], ref: ModelRef) -> int | None:
    """Return the version that makes a model ready, ``None`` to go on waiting.

    With a version asked for, that one has to be AVAILABLE; without, the highest AVAILABLE one counts.

    Raises:
        StatusError: the version asked for, or with none asked for every version, ended with an error; the server
            does not try the same number again (core/aspired_versions_manager.cc).
    """
    wanted = [status for status in versions if ref.version is None or status.version == ref.version]
    available = [status.version for status in wanted if status.available]
    if available:
        return max(available)
    failed = [status for status in wanted if status.failed]
    if failed and all(status.state == END for status in wanted):
        newest = max(failed, key=lambda status: status.version)
        raise status_error(
            newest.code,
            f"{ref.name} version {newest.version} failed to load: {newest.message}",
            hint="the server does not try this number again: fix the model and publish it as a new version",
        )
    return None


def summary(versions: list[VersionStatus]) -> str:
    """Name the versions and their states in one line; ended ones only where there is nothing else."""
    alive = [status for status in versions if status.state != END or status.failed]
    return ", ".join(str(status) for status in alive or versions) or "no version"
