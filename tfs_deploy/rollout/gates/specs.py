"""Gates as text, ``p99=50ms``, so that the plan can carry them and a later process can set them up again.

================================  ====================================================================================
``errors=1%``                     share of failed requests, above that of stable
``finite=0.1%``                   share of answers with NaN or infinite values, above that of stable
``p50|p90|p95|p99=50ms``          latency, at most
``p50|p90|p95|p99=1.5x``          latency, relative to stable in the same window
``memory=20%``, ``memory=2GB``    growth since the first step, or bytes in use by the server's process
``drift=0.1``                     distance of outputs from stable's (0 is equal)
``agreement=99%``                 share of answers that are the same as stable's
``metrics=1%``                    failed requests on the server's own metrics page
``command=CMD``                   exit code: 0 passes, 75 cannot tell yet, any other fails
``command=CMD :: $.ctr >= 0.1``   the command prints JSON
``url=URL :: $.ctr >= 0.1``       JSON behind a URL
``promql=URL :: QUERY < 0.01``    an instant query to the Prometheus server at URL
================================  ====================================================================================
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.host.commands import words
from tfs_deploy.rollout.gates.conditions import Condition, steps_of
from tfs_deploy.rollout.gates.external import CommandGate, PrometheusGate, UrlGate
from tfs_deploy.rollout.gates.gates import ErrorRateGate, FiniteGate, LatencyGate
from tfs_deploy.rollout.gates.measures import DriftGate, MemoryGate
from tfs_deploy.rollout.gates.metrics_page import MetricsPageGate
from tfs_deploy.rollout.machine.plan import parse_seconds
from tfs_deploy.rollout.web import is_url
from tfs_deploy.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.rollout.machine.observation import Gate
    from tfs_deploy.rollout.machine.stats import Compared

QUANTILES: Final = ("p50", "p90", "p95", "p99")
_BYTES: Final = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_BETWEEN: Final = "::"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where gates get what they need.

    ``metrics_url``: the server's metrics page, ``None`` without one; ``compare``: sends requests at hand to two labels
    (see ``DriftGate``); ``directory``: where commands run, empty for this process's own.
    """

    min_samples: int = 30
    metrics_url: str | None = None
    compare: Callable[[str, str], Mapping[str, Compared]] | None = None
    directory: str = ""


def make_gate(text: str, sources: Sources) -> Gate:
    """Make the gate that a text describes; raises ``UsageError`` that names what is wrong."""
    name, equals, setting = text.partition("=")
    name, setting = name.strip(), setting.strip()
    if not equals or not setting:
        raise UsageError(f"{text!r} is no gate", hint="for example errors=1% or p99=50ms")
    if name in QUANTILES:
        return _latency(name, setting, sources)
    if name not in _MAKERS:
        known = [*_MAKERS, *QUANTILES]
        hint = did_you_mean(name, known, otherwise=f"gates: {', '.join(known)}")
        raise UsageError(f"there is no gate {name!r}", hint=hint)
    return _MAKERS[name](setting, sources)


def gate_name(text: str) -> str:
    """Return the name of the gate that a text describes."""
    return text.partition("=")[0].strip()


def parse_share(text: str) -> float:
    """Read ``1%`` or ``0.01`` as 0.01; raises ``UsageError``."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise UsageError(f"{text!r} is no share", hint="for example 1% or 0.01")
    return share


def parse_bytes(text: str) -> int | None:
    """Read ``2GB`` or ``512MiB``; ``None`` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]i?b)", text.lower())
    return None if match is None else round(float(match[1]) * _BYTES[match[2]])


def _errors(setting: str, sources: Sources) -> Gate:
    return ErrorRateGate(parse_share(setting), sources.min_samples)


def _finite(setting: str, sources: Sources) -> Gate:
    return FiniteGate(parse_share(setting), sources.min_samples)


def _latency(name: str, setting: str, sources: Sources) -> Gate:
    if setting.endswith("x"):
        ratio = _positive(setting.removesuffix("x"), setting)
        return LatencyGate(name, max_ratio=ratio, tolerance=0.002, min_samples=sources.min_samples)
    return LatencyGate(name, max_seconds=parse_seconds(setting), max_ratio=None, min_samples=sources.min_samples)


def _memory(setting: str, sources: Sources) -> Gate:
    del sources
    limit = parse_bytes(setting)
    if limit is not None:
        return MemoryGate(max_growth=None, max_bytes=limit)
    if not setting.endswith("%"):
        raise UsageError(f"{setting!r} is neither a share nor an amount of memory", hint="for example 20% or 2GB")
    return MemoryGate(max_growth=_positive(setting.removesuffix("%"), setting) / 100, tolerance=0)


def _drift(setting: str, sources: Sources) -> Gate:
    return DriftGate(max_distance=_positive(setting, setting), ask=sources.compare)


def _agreement(setting: str, sources: Sources) -> Gate:
    return DriftGate(min_agreement=parse_share(setting), ask=sources.compare, name="agreement")


def _metrics(setting: str, sources: Sources) -> Gate:
    if sources.metrics_url is None:
        hint = "monitoring: {prometheus: true} and a rest_port in the deployment file"
        raise UsageError("the server has no metrics page", hint=hint)
    return MetricsPageGate(sources.metrics_url, max_rate=parse_share(setting), min_samples=sources.min_samples)


def _command(setting: str, sources: Sources) -> Gate:
    command, between, condition = setting.partition(_BETWEEN)
    words(command)
    return CommandGate(command.strip(), _on_json(condition) if between else None, directory=sources.directory)


def _url(setting: str, sources: Sources) -> Gate:
    del sources
    url, condition = _url_and_rest("url", setting)
    return UrlGate(url, _on_json(condition))


def _promql(setting: str, sources: Sources) -> Gate:
    del sources
    url, condition = _url_and_rest("promql", setting)
    return PrometheusGate(url, Condition.parse(condition))


def _url_and_rest(name: str, setting: str) -> tuple[str, str]:
    url, between, rest = setting.partition(f" {_BETWEEN}")
    if not is_url(url) or not between or not rest.strip():
        example = "$.ctr >= 0.1" if name == "url" else 'rate(errors_total{version="$version"}[$window]) < 0.01'
        server = "; or name the server with --prometheus" if name == "promql" else ""
        hint = f"{name}=http://HOST/PATH :: {example}{server}"
        raise UsageError(f"the gate {name}={setting} lacks a part", hint=hint)
    return url.strip(), rest.strip()


def _on_json(text: str) -> Condition:
    condition = Condition.parse(text)
    steps_of(condition.subject)
    return condition


def _positive(text: str, whole: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"{whole!r} is not a number above 0", hint="for example p99=1.5x or drift=0.1")
    return number


_MAKERS: Final[dict[str, Callable[[str, Sources], Gate]]] = {
    "errors": _errors,
    "finite": _finite,
    "memory": _memory,
    "drift": _drift,
    "agreement": _agreement,
    "metrics": _metrics,
    "command": _command,
    "url": _url,
    "promql": _promql,
}
