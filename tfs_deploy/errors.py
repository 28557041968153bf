# SPDX-License-Identifier: Apache-2.0
"""The error tree: every failure that a user can meet, what to do next, and whether a retry can help.

::

    TfsDeployError                      exit 3
    ├── UsageError                      exit 2   what the caller gave is wrong
    │   ├── SpecError                            a file cannot be used; every problem in it
    │   ├── ModelError                           a SavedModel or version directory cannot be used
    │   └── RequestError                         a request does not fit the model's signature
    ├── VerdictError                    exit 1   a check failed, a rollout was rolled back
    ├── EnvironmentFault                exit 3   the machine, a process or the network prevents it
    │   ├── MissingExtraError                    an optional dependency is not installed
    │   ├── PlatformError                        only Linux can do it
    │   ├── PortInUseError
    │   └── LaunchError                          a server did not start
    ├── LockedError                     exit 4   another process holds the lock
    └── StatusError                              a model server answered with a canonical status code
        ├── InvalidArgumentError, NotFoundError, FailedPreconditionError, ...   exit 2
        └── UnavailableError, DeadlineExceededError, ResourceExhaustedError, ...   exit 3
"""

from __future__ import annotations

import enum
import errno
from dataclasses import dataclass
from typing import Any, ClassVar

from tfs_deploy.text import install_extra, without_passwords


class Code(enum.IntEnum):
    """Canonical status codes, as gRPC and TensorFlow share them (google/rpc/code.proto)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class TfsDeployError(Exception):
    """Base of all errors: ``message``, ``hint`` (the next command or the key to change), ``retriable``.

    URLs in them are shown without passwords.
    """

    exit_code: ClassVar[int] = 3
    retriable: bool = False

    def __init__(self, message: str, *, hint: str | None = None, retriable: bool | None = None) -> None:
        self.message = without_passwords(message)
        super().__init__(self.message)
        self.hint = None if hint is None else without_passwords(hint)
        if retriable is not None:
            self.retriable = retriable

    def __reduce__(self) -> tuple[Any, ...]:
        # an error reaches the process that asked for the work as it is, whatever its class is made with
        return _restored, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} (hint: {self.hint})"


def _restored(kind: type[TfsDeployError], args: tuple[Any, ...], state: dict[str, Any]) -> TfsDeployError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageError(TfsDeployError):
    """An argument, option or file from the caller is not valid."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: where (``line`` counts from 1, ``path`` like ``models[0].labels``) and what it is."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}: {where}{self.message}"


class SpecError(UsageError):
    """A deployment, policy or budget file that cannot be used; ``problems`` holds all of them, in file order."""

    def __init__(self, problems: list[Problem], *, hint: str | None = None) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)


class ModelError(UsageError):
    """A SavedModel or version directory that cannot be used; the message names the file."""


class RequestError(UsageError):
    """A request that does not fit the model's signature; nothing was sent."""


class VerdictError(TfsDeployError):
    """A negative verdict: a check or gate failed, a rollout was rolled back."""

    exit_code = 1


class EnvironmentFault(TfsDeployError):  # noqa: N818 - EnvironmentError is Python's own name for OSError
    """The machine, a process or the network is the cause."""


class MissingExtraError(EnvironmentFault):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed", hint=install_extra(extra))
        self.extra = extra


class PlatformError(EnvironmentFault):
    """What was called needs Linux, and this is another system; the message names it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs Linux",
            hint="clients and routers work on every system; run this on Linux, in a container or in WSL 2",
        )


class PortInUseError(EnvironmentFault):
    """A port that a server should listen on is in use."""


class LaunchError(EnvironmentFault):
    """A server did not start, or stopped before it was ready."""


class LockedError(TfsDeployError):
    """Another process holds the lock; the message names its user, host, process and since when."""

    exit_code = 4
    retriable = True


class StatusError(TfsDeployError):
    """An answer of a model server other than OK; ``code`` is the canonical status.

    ``reached`` says whether the call reached a server: ``True`` = the error is the server's answer, ``False`` = no
    server took the call, ``None`` = not known, because the answer is missing.
    """

    code: ClassVar[Code] = Code.UNKNOWN

    def __init__(
        self, message: str, *, hint: str | None = None, retriable: bool | None = None, reached: bool | None = None
    ) -> None:
        super().__init__(message, hint=hint, retriable=retriable)
        self.reached = reached


class CancelledError(StatusError):
    """The call was cancelled by its caller."""

    code = Code.CANCELLED


class UnknownError(StatusError):
    """The server failed for an unknown reason."""

    code = Code.UNKNOWN


class InvalidArgumentError(StatusError):
    """The server refused the request's content."""

    exit_code = 2
    code = Code.INVALID_ARGUMENT


class DeadlineExceededError(StatusError):
    """No answer within the deadline."""

    retriable = True
    code = Code.DEADLINE_EXCEEDED


class NotFoundError(StatusError):
    """No such model or version."""

    exit_code = 2
    code = Code.NOT_FOUND


class AlreadyExistsError(StatusError):
    """The object to create already exists."""

    exit_code = 2
    code = Code.ALREADY_EXISTS


class PermissionDeniedError(StatusError):
    """The caller may not do this."""

    code = Code.PERMISSION_DENIED


class ResourceExhaustedError(StatusError):
    """The server has no capacity for the call now."""

    retriable = True
    code = Code.RESOURCE_EXHAUSTED


class FailedPreconditionError(StatusError):
    """The server's state does not allow the request."""

    exit_code = 2
    code = Code.FAILED_PRECONDITION


class AbortedError(StatusError):
    """The call was aborted, for example by a conflict with another one."""

    retriable = True
    code = Code.ABORTED


class OutOfRangeError(StatusError):
    """A value is out of the range that the model accepts."""

    exit_code = 2
    code = Code.OUT_OF_RANGE


class UnimplementedError(StatusError):
    """The server does not implement the method."""

    code = Code.UNIMPLEMENTED


class InternalError(StatusError):
    """The server failed internally."""

    code = Code.INTERNAL


class UnavailableError(StatusError):
    """The server cannot be reached, or does not serve yet."""

    retriable = True
    code = Code.UNAVAILABLE


class DataLossError(StatusError):
    """Data of the model is damaged."""

    code = Code.DATA_LOSS


class UnauthenticatedError(StatusError):
    """The call carries no valid credentials."""

    code = Code.UNAUTHENTICATED


_BY_CODE: dict[Code, type[StatusError]] = {cls.code: cls for cls in StatusError.__subclasses__()}


def status_error(
    code: Code | int, message: str, *, hint: str | None = None, reached: bool | None = None
) -> StatusError:
    """Return the error of a canonical status code; an unknown code becomes ``UnknownError``."""
    try:
        kind = _BY_CODE[Code(code)]
    except (KeyError, ValueError):
        kind = UnknownError
    return kind(message, hint=hint, reached=reached)


_FILE_HINTS = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "part of the path is a file: check the path",
    errno.EISDIR: "it is a directory: name a file in it",
    errno.EACCES: "check who owns it and its permissions (ls -l)",
    errno.EPERM: "check who owns it and its permissions (ls -l)",
    errno.EROFS: "the file system is mounted read-only: choose another place",
    errno.ENOSPC: "the disk is full: make room (df -h), or choose another place",
    errno.EDQUOT: "the disk quota is used up: make room, or choose another place",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENAMETOOLONG: "the path is too long: choose a shorter one",
    errno.ELOOP: "its symbolic links form a loop: check them (ls -l)",
}


def file_hint(error: OSError) -> str:
    """Return the hint for a file that could not be read or written."""
    return _FILE_HINTS.get(error.errno or 0, "check the file system it is on (dmesg, df -h)")
