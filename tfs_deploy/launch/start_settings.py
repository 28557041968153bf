# SPDX-License-Identifier: Apache-2.0
"""What a server reads once, at its start, as lines that can be compared: another line means another server."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tfs_deploy.config.command_line import server_flags
from tfs_deploy.config.files import MODELS, config_files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.server import StartedServer


def start_settings(served: Deployment) -> tuple[str, ...]:
    """Return the flags and the config files that a server reads at its start, one line ``name=value`` each.

    Labels may come and go while a server runs; the flag that allows them matters at its start only. Ports belong to
    them, the second pair of ports does not: which one a server has changes with every replacement.
    """
    flags = server_flags(served, served.config_dir)
    lines = [flag.removeprefix("--") for flag in flags if not flag.startswith("--allow_version_labels")]
    for name, text in config_files(served).items():
        if name != MODELS:
            lines.append(f"{name}=sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}")
    return tuple(lines)


def changed_settings(server: StartedServer, wanted: Iterable[str]) -> list[str]:
    """Return why a server has to be replaced to have the ``wanted`` settings, none if it can be changed as it runs."""
    reasons = settings_diff(server.settings, wanted)
    if not server.config_dir.is_dir():
        reasons.append("config directory: gone, so nothing written now would reach the server")
    return reasons


def settings_diff(had: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return one line for each setting that is not the same, ``name: old -> new``."""
    before, after = (dict(line.split("=", 1) for line in lines if "=" in line) for lines in (had, wanted))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in changed]
