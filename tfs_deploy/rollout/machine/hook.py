# SPDX-License-Identifier: Apache-2.0
"""A hook as a value, parsed once: ``before:PHASE=TARGET`` or ``after:PHASE=TARGET``, a URL or a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tfs_deploy.errors import UsageError
from tfs_deploy.host.commands import split_command
from tfs_deploy.rollout.machine.phases import PHASES, ROLLBACK
from tfs_deploy.rollout.web import check_url, is_url
from tfs_deploy.text import did_you_mean

_HINT: Final = "for example before:promote=./check.sh or after:step=https://example.org/hook"


@dataclass(frozen=True, slots=True)
class RolloutHook:
    """One hook: ``when`` is ``before`` or ``after``."""

    when: str
    phase: str
    target: str

    @classmethod
    def parse(cls, text: str) -> RolloutHook:
        """Read ``before:PHASE=TARGET``; raises ``UsageError``."""
        place, equals, target = text.partition("=")
        when, colon, phase = place.strip().partition(":")
        if not equals or not colon or when not in ("before", "after"):
            raise UsageError(f"{text!r} is not a valid hook", hint=_HINT)
        if phase not in PHASES:
            hint = did_you_mean(phase, PHASES, otherwise=f"phases: {', '.join(PHASES)}")
            raise UsageError(f"unknown phase: {phase}", hint=hint)
        if (when, phase) == ("before", ROLLBACK):
            raise UsageError("a hook cannot run before a rollback", hint="nothing may hold it up; use after:rollback")
        return cls(when, phase, check_target(target))

    @classmethod
    def recorded(cls, text: str) -> RolloutHook:
        """Read a hook's text in a journal; what only another program version can read fails when it is ``checked``."""
        try:
            return cls.parse(text)
        except UsageError:
            return cls("", "", text)

    def checked(self) -> RolloutHook:
        """Return the hook; raises ``UsageError`` for one of a journal that this program cannot read."""
        return self if self.when else self.parse(self.target)

    def __str__(self) -> str:
        return f"{self.when}:{self.phase}={self.target}" if self.when else self.target


def check_target(target: str) -> str:
    """Return a command or URL without surrounding blanks; raises ``UsageError`` for what is neither."""
    if is_url(target.strip()):
        check_url(target.strip())
    else:
        split_command(target)
    return target.strip()
