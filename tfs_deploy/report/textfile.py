# SPDX-License-Identifier: Apache-2.0
"""A smoke test as metrics for the textfile collector of Prometheus's node_exporter.

The collector reads every ``*.prom`` file of its directory at each scrape, so a file must be replaced atomically, and
be readable by the collector's user (node_exporter README, "Textfile Collector").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfs_deploy.smoke import SmokeCheck

SUFFIX: Final = ".prom"
_PREFIX: Final = "tfs_deploy_smoke"
_HELP: Final = {
    "success": "Whether every check of this target over this transport passed.",
    "checks": "Checks of the last round by outcome.",
    "latency_seconds": "Seconds that the slowest answer of the last round took; absent without an answer.",
    "version": "The version that answered in the last round; absent without an answer.",
    "timestamp_seconds": "When the last round ended, in Unix time.",
    "deployment_success": "Whether the last round ran at least one check and none failed.",
    "deployment_timestamp_seconds": "When the last round of the whole deployment ended, in Unix time.",
}
_OUTCOMES: Final = ("ok", "failed", "skipped")


def smoke_textfile(deployment: str, checks: Sequence[SmokeCheck], *, ok: bool, now: float) -> str:
    """Return one round as text of the Prometheus exposition format, version 0.0.4.

    One series per model, target and transport: ``label`` is the label called, or ``version`` the version called by
    number; the other one is empty, which Prometheus takes for absent. ``now`` is Unix time.
    """
    groups: dict[tuple[str, str, str], list[SmokeCheck]] = {}
    for check in checks:
        groups.setdefault((check.model, check.target, check.transport), []).append(check)
    samples: dict[str, list[str]] = {name: [] for name in _HELP}
    for (model, target, transport), group in groups.items():
        kind, _, value = target.partition(" ")
        labels = {"deployment": deployment, "model": model, "label": "", "version": "", "transport": transport}
        labels[kind] = value
        for name, extra, number in _samples(group, now):
            samples[name].append(f"{_PREFIX}_{name}{_labels(labels | extra)} {number}")
    whole = _labels({"deployment": deployment})
    samples["deployment_success"].append(f"{_PREFIX}_deployment_success{whole} {int(ok)}")
    samples["deployment_timestamp_seconds"].append(f"{_PREFIX}_deployment_timestamp_seconds{whole} {now:.3f}")
    lines = []
    for name, found in samples.items():
        if found:
            lines += [f"# HELP {_PREFIX}_{name} {_HELP[name]}", f"# TYPE {_PREFIX}_{name} gauge", *found]
    return "\n".join(lines) + "\n"


def _samples(group: Sequence[SmokeCheck], now: float) -> Iterator[tuple[str, dict[str, str], str]]:
    yield "success", {}, str(int(not any(check.failed for check in group)))
    for outcome in _OUTCOMES:
        yield "checks", {"outcome": outcome}, str(sum(check.outcome.value == outcome for check in group))
    slowest = max(check.seconds for check in group)
    if slowest:
        yield "latency_seconds", {}, f"{slowest:.6f}"
    versions = [check.version for check in group if check.version is not None]
    if versions:
        yield "version", {}, str(versions[-1])
    yield "timestamp_seconds", {}, f"{now:.3f}"


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
