# SPDX-License-Identifier: Apache-2.0
"""A gate as the caller wrote it: one text, ``p99=50ms``, parsed once into a ``GateSpec`` that the plan carries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.web_access import PLAIN, WebAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.rollout.gates.gate import Gate
    from tfs_deploy.rollout.gates.request_stats import OutputComparison


@dataclass(frozen=True, slots=True)
class GateSpec:
    """A gate as a value.

    ``kind``: its name before the ``=``. ``options``: its limits and sources, keyword arguments of the gate's class.
    ``text``: as it was written, which is what the journal and JSON output hold.
    """

    kind: str
    options: Mapping[str, Any]
    text: str

    @property
    def relative(self) -> bool:
        """Whether it compares with requests that ``stable`` serves in the same window."""
        return self.options.get("max_ratio") is not None

    @property
    def command(self) -> str | None:
        """The command that it runs, ``None`` if it runs none."""
        return self.options.get("command")

    def __str__(self) -> str:
        return self.text


#: a gate as a caller gives it beside texts
GateLike: TypeAlias = "Gate | GateSpec"


@dataclass(frozen=True, slots=True)
class GateSources:
    """Where gates get their numbers.

    ``metrics_url``: the server's metrics page, ``None`` without one. ``compare``: sends requests at hand to two labels
    (see ``DriftGate``). ``directory``: where commands run, empty for this process's own. ``access``: what goes with
    the URLs of gates.
    """

    min_samples: int = 30
    metrics_url: str | None = None
    compare: Callable[[str, str], Mapping[str, OutputComparison]] | None = None
    directory: str = ""
    access: WebAccess = PLAIN


@dataclass(frozen=True, slots=True)
class GateKind:
    """One kind of gate.

    ``names``: what stands before the ``=``. ``usage``: examples and what they judge, for ``--help``. ``read``: takes
    the name and the setting, returns the gate's options, raises ``UsageError``. ``make``: makes the gate of options.
    """

    names: tuple[str, ...]
    usage: tuple[tuple[str, str], ...]
    read: Callable[[str, str], dict[str, Any]]
    make: Callable[[Mapping[str, Any], GateSources], Gate]


def positive(text: str, setting: str) -> float:
    """Read a number above 0; raises ``UsageError`` that names the whole setting."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"{setting!r} is not a number above 0", hint="for example p99=1.5x or drift=0.1")
    return number
