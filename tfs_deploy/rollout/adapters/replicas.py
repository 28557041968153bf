# SPDX-License-Identifier: Apache-2.0
"""Replicas: several servers of the same model, observed and changed as one, and kept consistent."""

from __future__ import annotations

import concurrent.futures
import itertools
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from tfs_deploy.errors import StatusError, UnavailableError, status_error
from tfs_deploy.rollout.machine.observation import AVAILABLE, END, LOADING, START, UNLOADING, ServerView, VersionView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
T = TypeVar("T")
#: the least advanced state comes first: a version is as far as it is on the slowest server
_ORDER: Final = (START, LOADING, UNLOADING, END, AVAILABLE)
_THREADS: Final = 16
#: servers that a message names at most
_TOLD: Final = 3


class Member(Protocol):
    """One server of several."""

    @property
    def address(self) -> str:
        """The address for messages."""

    def observe(self, labels: Iterable[str]) -> ServerView:
        """See ``ModelServer.observe``."""

    def reload(self, config: Any) -> None:
        """Send a whole ``ModelServerConfig``; raises ``StatusError``."""


class SharedConfig(Protocol):
    """The config that all servers read when they start; a state of it is an opaque value."""

    def read(self) -> Any:
        """Return the present state."""

    def after(self, state: Any, versions: tuple[int, ...], labels: Mapping[str, int]) -> Any:
        """Return the state in which exactly ``versions`` of the model are wanted and ``labels`` set."""

    def write(self, state: Any) -> None:
        """Replace the files with those of a state."""

    def message(self, state: Any) -> Any:
        """Return the ``ModelServerConfig`` of a state."""


class ReplicaSet:
    """The replicas of one model as one ``ModelServer``.

    A replica that does not answer is ``missing``; the view is that of the others. How they are kept consistent: a
    config is written to the file first, so that a replica that restarts comes up with it, then sent to all. If one
    refuses it, those that accepted it get the former config back. If one cannot be reached, the others keep the new
    config and ``UnavailableError`` names the missing one.
    """

    def __init__(self, members: Sequence[Member], config: SharedConfig) -> None:
        self._members = members
        self._config = config
        self._pool = concurrent.futures.ThreadPoolExecutor(min(_THREADS, len(members)), "fleet")

    def observe(self, labels: Iterable[str]) -> ServerView:
        """Return what the replicas say as one view; raises ``UnavailableError`` when none answers."""
        wanted = list(labels)
        answers = self._ask(lambda member: member.observe(wanted))
        views = {address: answer for address, answer in answers.items() if isinstance(answer, ServerView)}
        if not views:
            errors = {address: error for address, error in answers.items() if isinstance(error, StatusError)}
            raise UnavailableError(_told(errors))
        return merged(views, tuple(address for address in answers if address not in views))

    def apply(self, versions: tuple[int, ...], labels: Mapping[str, int]) -> None:
        """Write the file, then send it to every replica; the class says what happens when one does not follow."""
        before = self._config.read()
        after = self._config.after(before, versions, labels)
        self._config.write(after)
        message = self._config.message(after)
        answers = self._ask(lambda member: member.reload(message))
        errors = {address: answer for address, answer in answers.items() if isinstance(answer, StatusError)}
        refusal = next(((address, error) for address, error in errors.items() if not error.retriable), None)
        if refusal is not None:
            address, error = refusal
            self._config.write(before)
            former = self._config.message(before)
            self._ask(lambda member: None if member.address in errors else member.reload(former))
            raise status_error(error.code, f"{address}: {error.message}", hint=error.hint)
        if errors:
            raise UnavailableError(_told(errors))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _ask(self, question: Callable[[Member], T]) -> dict[str, T | StatusError]:
        """Ask all replicas at once; return by address what the question returns or the ``StatusError`` it raises."""

        def one(member: Member) -> T | StatusError:
            try:
                return question(member)
            except StatusError as error:
                return error

        answers = list(self._pool.map(one, self._members))
        return {member.address: answer for member, answer in zip(self._members, answers, strict=True)}


def _told(errors: Mapping[str, StatusError]) -> str:
    """Return in one line what the first few of the servers answered."""
    told = [f"{address}: {error.message}" for address, error in itertools.islice(errors.items(), _TOLD)]
    more = len(errors) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def merged(views: Mapping[str, ServerView], missing: tuple[str, ...] = ()) -> ServerView:
    """Return the views of several servers as one; the message of a failed one begins with its address."""
    numbers = sorted({number for view in views.values() for number in view.versions})
    versions = {number: _slowest(number, views) for number in numbers}
    names = sorted({label for view in views.values() for label in view.labels})
    labels: dict[str, int] = {}
    mixed: dict[str, frozenset[int]] = {}
    for name in names:
        found = [view.labels.get(name) for view in views.values()]
        answered = frozenset(version for version in found if version is not None)
        if len(answered) == 1 and None not in found:
            labels[name] = min(answered)
        else:
            mixed[name] = answered
    there = {number: [view.available(number) for view in views.values()] for number in numbers}
    partly = frozenset(number for number, answers in there.items() if any(answers) and not all(answers))
    return ServerView(versions, labels, mixed, missing, partly)


def _slowest(number: int, views: Mapping[str, ServerView]) -> VersionView:
    found = {address: view.versions.get(number, VersionView(END)) for address, view in views.items()}
    failed = next(((address, view) for address, view in found.items() if view.failed), None)
    if failed is not None:
        address, view = failed
        return VersionView(END, view.code, f"{address}: {view.message}")
    return min(found.values(), key=lambda view: _ORDER.index(view.state))
