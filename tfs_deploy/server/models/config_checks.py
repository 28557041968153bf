# SPDX-License-Identifier: Apache-2.0
"""Checks of a ModelServerConfig, with the server's texts (model_servers/server_core.cc)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.server.models.file_system_source import WatchedModel
from tfs_deploy.server.models.version_policy import VersionPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

TENSORFLOW: Final = "tensorflow"
_URI: Final = re.compile(r"[a-zA-Z][0-9a-zA-Z.]*://")


def platform_of(model: Any) -> str:
    """Return a ModelConfig's platform; the deprecated ``model_type`` counts too."""
    if model.model_type:
        if model.model_platform:
            raise InvalidArgumentError(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {model.name}"
            )
        if model.model_type != 1:
            raise InvalidArgumentError(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
        return TENSORFLOW
    if not model.model_platform:
        raise InvalidArgumentError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    return str(model.model_platform)


def check_models(models: Iterable[Any]) -> None:
    """Refuse a name that is listed twice, then a relative base path."""
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            raise InvalidArgumentError(f"Illegal to list model {model.name} multiple times in config list")
        seen.add(model.name)
    for model in models:
        if not model.base_path.startswith("/") and not _URI.match(model.base_path):
            raise InvalidArgumentError(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
        if "\0" in model.base_path:
            raise InvalidArgumentError(f"The base path of model {model.name} has a NUL character")


def check_platforms_kept(old: Iterable[Any], new: Iterable[Any]) -> None:
    """Refuse to change the platform of a model that both configs list."""
    before = {model.name: platform_of(model) for model in old}
    for model in new:
        if model.name in before and platform_of(model) != before[model.name]:
            raise InvalidArgumentError(
                f"Illegal to change a model's platform. For model {model.name} platform was {before[model.name]} "
                f"and new platform requested is {platform_of(model)}"
            )


def watched_models(models: Iterable[Any]) -> list[WatchedModel]:
    """Return the ModelConfigs as what the source watches; refuses platforms other than ``tensorflow``."""
    watched = []
    for model in models:
        platform = platform_of(model)
        if platform != TENSORFLOW:
            raise InvalidArgumentError(f"Model {model.name} requests unsupported platform {platform}")
        policy = VersionPolicy.from_message(model.model_version_policy)
        watched.append(WatchedModel(model.name, Path(model.base_path), policy))
    return watched
