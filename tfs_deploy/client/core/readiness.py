# SPDX-License-Identifier: Apache-2.0
"""When a model is ready, judged by the states of its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.client.call.model_replies import END
from tfs_deploy.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    StatusError,
    UnavailableError,
    status_error,
)

if TYPE_CHECKING:
    from tfs_deploy.client.call.model_ref import ModelRef
    from tfs_deploy.client.call.model_replies import VersionStatus


def ready_version(versions: list[VersionStatus], ref: ModelRef) -> int | None:
    """Return the version that makes a model ready; ``None`` = keep waiting.

    If ``ref`` names a version, that one has to be AVAILABLE; otherwise the highest AVAILABLE version counts.

    Raises:
        StatusError: the named version, or without one every version, ended with an error; the server does not try the
            same number again (core/aspired_versions_manager.cc).
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
    """Return the versions and their states in one line; ended ones only if there are no others."""
    alive = [status for status in versions if status.state != END or status.failed]
    return ", ".join(str(status) for status in alive or versions) or "no version"


def is_final(error: StatusError, ref: ModelRef) -> bool:
    """Return whether waiting cannot help: the port speaks another protocol, or the request itself is wrong."""
    if isinstance(error, UnavailableError):
        return not error.retriable
    # an unknown label is an invalid argument, until a reload defines it
    return isinstance(error, InvalidArgumentError) and ref.label is None


def not_ready_error(ref: ModelRef, timeout: float, last: StatusError | list[VersionStatus]) -> DeadlineExceededError:
    """Return the error for a model that was not ready in time; it names what was seen last."""
    if isinstance(last, StatusError):
        seen, hint = last.message, last.hint
    else:
        seen = summary(last)
        hint = "a version that stays LOADING is being retried or is large: see the server's log"
    return DeadlineExceededError(f"{ref} is not ready after {timeout:g} s; last seen: {seen}", hint=hint)
