"""Makes a servable of a version directory, as TensorFlow Serving's SavedModelBundleFactory does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.errors import FailedPreconditionError, NotFoundError
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.server.servable import ModelServable
from tfs_deploy.server.warmup import warm_up

if TYPE_CHECKING:
    from tfs_deploy.server.states import ServableId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoaderOptions:
    """What the flags say of loading; ``session_config`` is a serialized tensorflow.ConfigProto."""

    tags: Sequence[str] = ("serve",)
    session_config: bytes = b""
    warmup: bool = True
    warmup_iterations: int = 1


class EngineLoader:
    """Loads versions with the runtime's engine and warms them up."""

    def __init__(self, options: LoaderOptions) -> None:
        self._options = options

    def __call__(self, servable: ServableId, path: Path) -> ModelServable:
        """Load one version; raises ``StatusError`` with the server's code and text."""
        check_version(servable, path)
        options = self._options
        engine = Engine.load(path, tags=options.tags, config=options.session_config)
        try:
            loaded = ModelServable(engine)
            if options.warmup:
                records = warm_up(loaded, path, iterations=options.warmup_iterations)
                if records:
                    _log.info("warmed up %s version %d with %d requests", servable.name, servable.version, records)
        except BaseException:
            engine.close()
            raise
        return loaded


def check_version(servable: ServableId, path: Path) -> None:
    """Refuse what the server refuses before its loader sees it."""
    if not path.is_dir():
        raise FailedPreconditionError(
            f"Error while attempting to reserve resources to load servable {servable}: {path}; Not a directory"
        )
    if not any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise NotFoundError(
            "Specified file path does not appear to contain a SavedModel bundle (should have a file called "
            f"`saved_model.pb`)\nSpecified file path: {path}"
        )
