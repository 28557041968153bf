# SPDX-License-Identifier: Apache-2.0
"""What a check of a version found: preflight, smoke and the golden gate answer with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of a preflight or smoke check.

    ``reason`` is one line; ``notes`` are shown either way; ``retriable`` marks a failure that says nothing about the
    model, such as a server that is too busy to answer. ``refusals``: of preflight, each reason by itself;
    ``allowed_by``: the flags that together allow all of them, empty where one of them cannot be allowed.
    """

    ok: bool
    reason: str = ""
    notes: tuple[str, ...] = ()
    retriable: bool = False
    refusals: tuple[str, ...] = ()
    allowed_by: tuple[str, ...] = ()
