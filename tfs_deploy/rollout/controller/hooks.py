# SPDX-License-Identifier: Apache-2.0
"""Hooks before and after phases, and notifications: commands or URLs that receive JSON.

The facts are posted to a URL, and a command gets them on standard input. A hook that fails objects: the rollout rolls
back, or does not begin. Nothing may hold up a rollback, so there is no ``before:rollback``. After a crash a hook may
run once more.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import TfsDeployError, UnavailableError
from tfs_deploy.host.commands import require_program, run_command, split_command
from tfs_deploy.rollout.web import fetch, is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tfs_deploy.rollout.machine.hook import RolloutHook

#: seconds for a notification, and for all that are left at the end
_TELL: Final = 10.0
#: characters of a fact in the environment, where there is little room; standard input has all of it
_MOST: Final = 4096


def call(target: str, facts: Mapping[str, Any], *, timeout: float, directory: str = "") -> None:
    """Post the facts to a URL or give them to a command; raises ``UnavailableError`` with the reason in one line."""
    if is_url(target):
        fetch(target, body=facts, timeout=timeout)
        return
    environment = {f"TFS_DEPLOY_{key.upper()}": str(value)[:_MOST] for key, value in facts.items()}
    words = split_command(target)
    done = run_command(words, facts, timeout=timeout, environment=environment, directory=directory)
    if done.code != 0:
        raise UnavailableError(f"{words[0]} ended with exit code {done.code}: {done.last_line}".rstrip(": "))


class RolloutHooks:
    """Runs the hooks of a plan and sends its notifications (the ``Hooks`` of ``world``).

    ``on_trouble`` gets a line for each notification that could not be delivered. Commands run in ``directory``.
    """

    def __init__(
        self,
        hooks: Iterable[RolloutHook],
        notify: Sequence[str],
        *,
        timeout: float = 60.0,
        directory: str = "",
        on_trouble: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._hooks = [hook.checked() for hook in hooks]
        self._notify = tuple(notify)
        self._timeout = timeout
        self._directory = directory
        self._on_trouble = on_trouble
        self._waiting: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._teller: threading.Thread | None = None

    def require(self) -> None:
        """Raise ``UsageError`` for a command that cannot be run."""
        for target in (*(hook.target for hook in self._hooks), *self._notify):
            if not is_url(target):
                require_program(target, self._directory)

    def run(self, when: str, phase: str, facts: Mapping[str, Any]) -> str | None:
        """Run the hooks ``before`` or ``after`` a phase in their order; return why the first one objects."""
        for hook in self._hooks:
            if (hook.when, hook.phase) == (when, phase):
                reason = self._objection(hook, {**facts, "when": when, "phase": phase})
                if reason is not None:
                    return reason
        return None

    def _objection(self, hook: RolloutHook, facts: Mapping[str, Any]) -> str | None:
        try:
            call(hook.target, facts, timeout=self._timeout, directory=self._directory)
        except TfsDeployError as error:
            return f"the hook {hook.when} {hook.phase} failed: {error.message}"
        return None

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Send a notification from a thread of its own."""
        if not self._notify:
            return
        if self._teller is None:
            self._teller = threading.Thread(target=self._send, daemon=True, name="notifications")
            self._teller.start()
        self._waiting.put(facts)

    def close(self) -> None:
        """Wait a moment for notifications that are not sent yet."""
        if self._teller is not None:
            self._waiting.put(None)
            self._teller.join(_TELL)
            self._teller = None

    def _send(self) -> None:
        while (facts := self._waiting.get()) is not None:
            for target in self._notify:
                self._deliver(target, facts)

    def _deliver(self, target: str, facts: Mapping[str, Any]) -> None:
        try:
            call(target, facts, timeout=_TELL, directory=self._directory)
        except TfsDeployError as error:
            self._on_trouble(f"notification not delivered: {error.message}")
