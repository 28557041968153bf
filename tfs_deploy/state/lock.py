# SPDX-License-Identifier: Apache-2.0
"""``rollout.lock``: the lock of a deployment, held by the one process that changes something.

Whoever writes a file of the state directory holds it, unless that file's module says otherwise. The file tells who
holds it, since when and for what; the lock itself is the operating system's (``flock``), so it is free once its holder
ends.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.atomic import remove_leftovers
from tfs_deploy.errors import EnvironmentFault, LockedError, UsageError, file_hint
from tfs_deploy.host.posix import posix_module, user_ids
from tfs_deploy.savedmodel.formats.checked_json import require_unchanged, with_checksum
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME: Final = "rollout.lock"
_POLL: Final = 0.1
_ABOUT: Final = ("holder", "host", "pid", "since", "purpose")
_LOOK: Final = 0.005
#: seconds in which those who only look at the lock are sure to be done
_LOOKS: Final = 2.0


def holder(state_dir: Path) -> dict[str, Any] | None:
    """Return who holds the lock (``holder``, ``host``, ``pid``, ``since``, ``purpose``), None if it is free.

    Empty where the file does not tell: it is not written yet, or damaged. The lock is held all the same.
    """
    path = state_dir / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be opened: {error.strerror}", hint=file_hint(error)) from error
    try:
        return None if _take(descriptor, shared=True) else _read(descriptor)
    finally:
        os.close(descriptor)


def rollout_purpose(model: str) -> str:
    """Return the purpose under which a rollout holds the lock."""
    return f"rollout of {model}"


def rollout_holder(state_dir: Path, model: str) -> dict[str, Any] | None:
    """Return who holds the lock for a rollout of ``model``, None if no such process does.

    A holder that the file does not tell may be one.
    """
    about = holder(state_dir)
    purpose = rollout_purpose(model)
    return about if about is not None and about.get("purpose", purpose) == purpose else None


class HeldLock:
    """A lock that is held; ``check`` is for a process that works for long under it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def check(self) -> None:
        """Raise ``LockedError`` if the lock was released by force: from then on another process may hold it."""
        if not _is_at(self._path, self._descriptor):
            hint = "tfs-deploy rollout status shows how it stands"
            raise LockedError("the lock was released by force, so this process stops", hint=hint)


@contextlib.contextmanager
def lock(
    state_dir: Path,
    purpose: str,
    *,
    wait: float = 0.0,
    on_wait: Callable[[str], None] = lambda _text: None,
    option: str = "",
) -> Iterator[HeldLock]:
    """Hold the deployment's lock; raises ``LockedError`` with the holder if it is not free within ``wait`` seconds.

    The operating system frees it when the process ends in whatever way, so a lock never has to be removed by hand. What
    its last holder left half-written is removed.
    ``on_wait`` is called once, with a text that names the holder. ``option``: that of the caller's command which waits,
    for the hint; empty where it has none.
    """
    path = state_dir / NAME
    descriptor = _acquire(path, wait, on_wait, option)
    try:
        _write(descriptor, purpose)
        for folder in (state_dir, *state_dir.glob("config*")):
            remove_leftovers(folder)
        yield HeldLock(path, descriptor)
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def release(state_dir: Path) -> dict[str, Any]:
    """Take the lock away from its holder and return who that was; raises ``UsageError`` if it is free.

    For a holder that hangs, or whose machine is gone while the file system still keeps its lock. A holder that lives
    notices before its next action, and stops.
    """
    about = holder(state_dir)
    if about is None:
        raise UsageError("the deployment is not locked", hint="there is nothing to release")
    with contextlib.suppress(FileNotFoundError):
        (state_dir / NAME).unlink()
    return about


def describe_holder(about: dict[str, Any]) -> str:
    """Return who holds a lock, since when and for what, as a text."""
    if not about:  # the holder has not written it yet, or the file is damaged
        return f"another process, of which {NAME} does not say more"
    who = f"{about['holder']} on {about['host']} (process {about['pid']})"
    return f"{who} since {about['since']}: {about['purpose']}"


def _acquire(path: Path, wait: float, on_wait: Callable[[str], None], option: str) -> int:
    end = time.monotonic() + wait
    told = False
    while True:
        descriptor = _open(path)
        if _take(descriptor, shared=False):
            if _is_at(path, descriptor):
                return descriptor
            os.close(descriptor)  # it was released by force between the opening and the taking
            continue
        about, only_read = _read(descriptor), _take(descriptor, shared=True)
        os.close(descriptor)
        if only_read and time.monotonic() < end + _LOOKS:
            time.sleep(_LOOK)
            continue
        if time.monotonic() >= end:
            until = f"wait for it ({option} 5m)" if option else "run the command again once it has ended"
            hint = f"{until}, or stop that process; if it hangs: tfs-deploy lock release"
            raise LockedError(f"the deployment is locked by {describe_holder(about)}", hint=hint)
        if not told:
            on_wait(f"waiting for {describe_holder(about)}")
            told = True
        time.sleep(_POLL)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be opened: {error.strerror or error}", hint=file_hint(error)) from error


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        there, own = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_ino, there.st_dev) == (own.st_ino, own.st_dev)


def _take(descriptor: int, *, shared: bool) -> bool:
    fcntl = posix_module("fcntl", "the lock of a deployment")
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, purpose: str) -> None:
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    about = {"holder": _user(), "host": socket.gethostname(), "pid": os.getpid(), "since": since, "purpose": purpose}
    with contextlib.suppress(OSError):  # a full disk: the lock is held all the same
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(with_checksum(about)).encode() + b"\n")


def _read(descriptor: int) -> dict[str, Any]:
    try:
        about = parse_document(os.read(descriptor, 4096))
        require_unchanged(about)
        return {key: about[key] for key in _ABOUT}
    except (KeyError, RecursionError, TypeError, ValueError):
        return {}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(user_ids()[0])
