"""One controller a deployment: a lock file that says who holds it, since when, and is free when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import socket
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import EnvironmentFault, LockedError, file_hint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_FILE = "rollout.lock"


def holder(state_dir: Path) -> dict[str, Any] | None:
    """Return who holds the lock (``holder``, ``host``, ``pid``, ``since``, ``purpose``), ``None`` if it is free."""
    path = state_dir / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if _take(descriptor, fcntl.LOCK_SH) else _read(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock(state_dir: Path, purpose: str) -> Iterator[None]:
    """Hold the deployment's lock; raises ``LockedError`` with the holder if somebody else has it.

    The operating system frees it when the process ends in whatever way, so there is no stale lock to remove.
    """
    path = state_dir / LOCK_FILE
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be opened: {error.strerror or error}", hint=file_hint(error)) from error
    try:
        if not _take(descriptor, fcntl.LOCK_EX):
            raise _locked(_read(descriptor), purpose)
        _write(descriptor, purpose)
        yield
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, purpose: str) -> None:
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    about = {"holder": _user(), "host": socket.gethostname(), "pid": os.getpid(), "since": since, "purpose": purpose}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(about).encode() + b"\n", 0)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:  # its holder is just about to write it
        return {}
    return about


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _locked(about: dict[str, Any], purpose: str) -> LockedError:
    who = "another process"
    if about:
        who = f"{about['holder']} on {about['host']} (process {about['pid']}) since {about['since']}"
        purpose = about["purpose"]
    return LockedError(f"the deployment is locked by {who}: {purpose}", hint="wait for it, or stop that process")
