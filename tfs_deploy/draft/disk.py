# SPDX-License-Identifier: Apache-2.0
"""What a path holds: a Keras file, a SavedModel, version directories, several models, a models.config."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.config.importer import deployment_document
from tfs_deploy.draft.found import Found, FoundModel, as_name
from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.versions import list_versions, next_version, version_number

if TYPE_CHECKING:
    from collections.abc import Mapping

_KERAS: Final = (".keras", ".h5", ".hdf5")
#: endings of a models.config, and more bytes than any has
_TEXTS: Final = (".config", ".pbtxt", ".txt", ".conf")
_LARGEST_TEXT: Final = 16 << 20
_CONFIG: Final = b"model_config_list"
#: where a model is written that is not in a version directory yet
_MODELS: Final = Path("models")


def find(path: Path, *, base_paths: Mapping[str, str] | None = None) -> list[Found]:
    """Return what ``path`` is, or else what its folder holds; ``base_paths`` are those of the importer.

    Base paths are one thing to serve together, unless there is something else beside them.

    Raises:
        UsageError: it is nothing that a deployment file could name.
        SpecError: a models.config that the server would refuse.
    """
    try:
        if not path.is_dir():
            found = _file(path, base_paths or {}) if path.exists() else None
            if found is None:
                raise _refused(path)
            return [found]
        found = _folder(path, outermost=True)
        if found is not None:
            return [found]
        children = [_folder(child) if child.is_dir() else _file(child, base_paths or {}) for child in _children(path)]
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    below = [one for one in children if one is not None]
    if not below:
        hint = "give a model (.keras, a SavedModel), a directory of versions, a models.config or a server's HOST:PORT"
        raise UsageError(f"{path} holds no model and no models.config", hint=hint)
    if len(below) > 1 and all(one.kind == "versions" for one in below):
        return [Found("versions", str(path), tuple(model for one in below for model in one.models))]
    return below


def _refused(path: Path) -> UsageError:
    if not path.exists():
        hint = "give a model, a directory of versions, a models.config, or a server's HOST:PORT"
        return UsageError(f"{path} does not exist", hint=hint)
    if path.name in layout.MODEL_FILES:
        return UsageError(f"{path} is one file of a SavedModel", hint=f"give its directory, {path.parent}")
    hint = "give a model (.keras, .h5, a SavedModel), a directory of versions, or a models.config"
    return UsageError(f"{path} is neither a Keras file nor a models.config", hint=hint)


def _children(folder: Path) -> list[Path]:
    """Return what may hold a model: neither hidden nor closed to this user."""
    return sorted(child for child in folder.iterdir() if not child.name.startswith(".") and os.access(child, os.R_OK))


def _file(path: Path, base_paths: Mapping[str, str]) -> Found | None:
    if not path.is_file():
        return None
    if path.suffix in _KERAS:
        return _to_write("keras", path, as_name(path.stem))
    if path.suffix not in _TEXTS or path.stat().st_size > _LARGEST_TEXT:
        return None
    data = read_regular(path)
    if _CONFIG not in data:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", hint="give the path of a models.config") from None
    document = deployment_document(text, name="imported", source=str(path), base_paths=base_paths)
    return Found("models.config", str(path), document=document)


def _folder(path: Path, *, outermost: bool = False) -> Found | None:
    """Return a SavedModel, a base path, or the base paths inside a folder; None if it is none of these."""
    here = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    if _holds_model(path):
        number = version_number(here.name)
        if number is None or number < 0:
            return _to_write("savedmodel", path, as_name(here.name))
        model = FoundModel(as_name(here.parent.name), _up(path), (number,))
        return Found("versions", str(path), (model,))
    if _versions(path):
        return Found("versions", str(path), (_model(path),))
    models = [] if outermost else [_model(child) for child in _children(path) if _versions(child)]
    return Found("versions", str(path), tuple(models)) if models else None


def _up(path: Path) -> Path:
    """Return the folder around ``path`` in the form in which ``path`` was given."""
    return path.parent if path.name and path.name != ".." else Path(os.path.normpath(path / ".."))


def _model(base_path: Path) -> FoundModel:
    return FoundModel(as_name(Path(os.path.abspath(base_path)).name), base_path, _versions(base_path))  # noqa: PTH100


def _versions(path: Path) -> tuple[int, ...]:
    if not path.is_dir():
        return ()
    return tuple(one.number for one in list_versions(path) if one.number >= 0 and _holds_model(one.path))


def _holds_model(path: Path) -> bool:
    return any((path / name).is_file() for name in layout.MODEL_FILES)


def _to_write(kind: str, path: Path, name: str) -> Found:
    return Found("keras" if kind == "keras" else "savedmodel", str(path), (unwritten_model(name, _MODELS / name),))


def unwritten_model(name: str, base_path: Path) -> FoundModel:
    """Return a model whose next version is still to be written."""
    return FoundModel(name, base_path, (next_version(base_path),))
