"""Makes a servable of a version directory, as TensorFlow Serving's SavedModelBundleFactory does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.errors import FailedPreconditionError, NotFoundError
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.server.servable import ModelServable

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.server.states import ServableId


class EngineLoader:
    """Loads versions with the runtime's engine.

    Args:
        tags: of the meta graph.
        config: a serialized tensorflow.ConfigProto.
    """

    def __init__(self, *, tags: tuple[str, ...] = ("serve",), config: bytes = b"") -> None:
        self._tags = tags
        self._config = config

    def __call__(self, servable: ServableId, path: Path) -> ModelServable:
        """Load one version; raises ``StatusError`` with the server's code and text."""
        if not path.is_dir():
            raise FailedPreconditionError(
                f"Error while attempting to reserve resources to load servable {servable}: {path}; Not a directory"
            )
        if not any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
            raise NotFoundError(
                "Specified file path does not appear to contain a SavedModel bundle (should have a file called "
                f"`saved_model.pb`)\nSpecified file path: {path}"
            )
        return ModelServable(Engine.load(path, tags=self._tags, config=self._config))
