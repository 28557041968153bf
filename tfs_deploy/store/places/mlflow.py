# SPDX-License-Identifier: Apache-2.0
"""A place that is a registered model of MLflow: its versions are those of the registry; it is only read.

The registry is the one that MLflow's own variables name. It keeps no sums of artefacts: what arrives is compared with
the size that the registry lists, and with the manifest in the version if there is one.
"""

from __future__ import annotations

import datetime as dt
import errno
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from tfs_deploy.errors import EnvironmentFault, ModelError, UsageError, VerdictError
from tfs_deploy.extras import import_extra
from tfs_deploy.savedmodel.manifest import FileEntry
from tfs_deploy.store.places.mlflow_faults import WHERE, registry_name, sentence
from tfs_deploy.store.places.publication import Publication, check_name, missing_version
from tfs_deploy.store.tree import tree

if TYPE_CHECKING:
    from tfs_deploy.deployment.address import Address
    from tfs_deploy.store.places.place import Published, Report

T = TypeVar("T")
_READY: Final = "READY"
_GRAPHS: Final = ("saved_model.pb", "saved_model.pbtxt")
_KERAS: Final = (".keras", ".h5")
#: seconds in which a registry has to take a connection, before MLflow begins to try for minutes
_KNOCK: Final = 5.0


class MlflowPlace:
    """The versions of a registered model; see ``Place``."""

    #: requests that were tried again: MLflow's client does not tell
    retries = 0

    def __init__(self, address: Address) -> None:
        if "mlflow" not in sys.modules:  # a command reads one registry and calls no other host
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self._mlflow = import_extra("mlflow", "mlflow")
        self._failures = import_extra("mlflow.exceptions", "mlflow").MlflowException
        self.address = address.base
        self._uri = self._registry()
        self._reached = False
        self._lock = threading.Lock()
        #: number -> what its artefacts are read from, and the folder of the SavedModel in them
        self._found: dict[int, tuple[Any, str]] = {}

    def versions(self) -> dict[int, str]:
        """Return the versions that are READY, or the one that the alias points at; ``ModelError`` if there is none."""
        name, alias = self.address.path, self.address.alias
        if alias:
            found = [self._call("reading an alias", lambda client: client.get_model_version_by_alias(name, alias))]
        else:
            found = self._call("listing versions", lambda client: list(_search(client, name)))
        ready = {int(each.version): str(each.source) for each in found if each.status == _READY}
        if not ready:
            if not found and not alias:  # a search finds nothing of a model that does not exist either
                self._call("reading a model", lambda client: client.get_registered_model(name))
            hint = "register one, for example with mlflow.register_model"
            raise ModelError(f"{self.address} has no version that is {_READY}", hint=hint)
        return dict(sorted(ready.items()))

    def publication(self, number: int) -> Publication:
        """Return one version with the files of its SavedModel, whose sums are not known yet.

        Raises ``ModelError`` if there is none of that number, or no SavedModel in it.
        """
        where = self.address.at(number)
        version = self._version(number)
        if version.status != _READY:
            hint = "try again once it is registered"
            raise ModelError(f"{where} is {version.status}, not {_READY}", hint=hint, retriable=True)
        repository = self._call("opening artefacts", lambda client: _open_artefacts(client, version))
        sizes = self._call("listing artefacts", lambda _: dict(_files(repository)))
        folder = find_saved_model(list(sizes), where)
        below = f"{folder}/" if folder else ""
        files = {
            check_name(name.removeprefix(below)): FileEntry("", size)
            for name, size in sizes.items()
            if name.startswith(below)
        }
        self._found[number] = repository, below
        at = dt.datetime.fromtimestamp((version.creation_timestamp or 0) / 1000, dt.timezone.utc)
        by = version.user_id or "MLflow"
        return Publication(number, "", "", "", files, by, at.isoformat(timespec="seconds"), token="")

    def publish(
        self,
        source: Path,
        version: int | str | None = None,
        *,
        check: Callable[[Path], None] | None = None,
        report: Report | None = None,
    ) -> Published:
        """Raise ``UsageError``: a registry is only read."""
        del source, version, check, report
        raise self._only_read()

    def fetch(self, publication: Publication, name: str, target: Path, report: Report | None = None) -> None:
        """Write one artefact to ``target``; ``VerdictError`` if it has another size than the registry lists."""
        repository, below = self._found[publication.number]
        expected = publication.files[name].size
        local = _local(repository)
        if local is not None:
            shutil.copyfile(local / below / name, target)
        else:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".mlflow-") as folder:
                self._download(repository, below + name, Path(folder), expected).rename(target)
        size = target.stat().st_size
        if expected and size != expected:
            what = f"{name} has {size} bytes instead of {expected}"
            hint = "try again; if it stays so, register the version again"
            raise VerdictError(f"{self.address.at(publication.number)} did not arrive whole: {what}", hint=hint)
        if report is not None:
            report(size)

    def remove(self, number: int) -> None:
        """Raise ``UsageError``: a registry is only read."""
        del number
        raise self._only_read()

    def clean(self, older_than: float) -> list[str]:
        """Raise ``UsageError``: a registry is only read."""
        del older_than
        raise self._only_read()

    def _only_read(self) -> UsageError:
        return UsageError(f"{self.address} is only read", hint="change versions with MLflow itself")

    def _registry(self) -> str:
        mlflow = self._mlflow
        uri = str(mlflow.get_registry_uri())
        if not mlflow.is_tracking_uri_set() and uri == mlflow.get_tracking_uri():
            # MLflow would make a database in the working directory
            raise UsageError(
                f"no registry is named for {self.address}: MLFLOW_TRACKING_URI is not set",
                hint=f"set {WHERE}, such as https://mlflow.example.com",
            )
        return uri

    def _version(self, number: int) -> Any:
        name = self.address.path
        try:
            return self._call("reading a version", lambda client: client.get_model_version(name, str(number)))
        except ModelError:
            there = self.versions()  # tells a model that does not exist
            raise missing_version(self.address, number, there) from None

    def _download(self, repository: Any, path: str, folder: Path, size: int) -> Path:
        try:
            return Path(self._call("reading artefacts", lambda _: repository.download_artifacts(path, str(folder))))
        except EnvironmentFault:
            if shutil.disk_usage(folder).free < size:  # what MLflow tells as a text
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from None
            raise

    def _call(self, doing: str, request: Callable[[Any], T]) -> T:
        """Return what a request returns; its failures become errors that say what to do."""
        requests = import_extra("requests", "mlflow")
        self._knock()
        try:
            return request(self._mlflow.MlflowClient())
        except self._failures as error:
            raise sentence(str(error), str(error.error_code), self._uri, self.address, doing) from None
        except requests.exceptions.RequestException as error:
            raise sentence(str(error), type(error).__name__, self._uri, self.address, doing) from None
        except ModuleNotFoundError as error:
            package = (error.name or "a package").partition(".")[0]
            what = f"MLflow needs {package} to read {registry_name(self._uri)} or its artefacts"
            raise EnvironmentFault(f"{what}, which is not installed", hint=f"pip install {package}") from error

    def _knock(self) -> None:
        """Raise ``EnvironmentFault`` if nothing listens at the address of the registry; asked once."""
        parts = urlsplit(self._uri)
        with self._lock:
            if self._reached or parts.scheme not in ("http", "https") or getproxies():
                return
            try:
                port = parts.port or {"http": 80, "https": 443}[parts.scheme]
                socket.create_connection((parts.hostname or "", port), _KNOCK).close()
            except (OSError, ValueError):
                raise sentence("Max retries exceeded", "", self._uri, self.address, "connecting") from None
            self._reached = True


def find_saved_model(names: list[str], where: Address) -> str:
    """Return the folder of the one SavedModel in a version, empty for its root. Pure.

    Args:
        names: the files of the version.
        where: its address.

    Raises ``ModelError``, which tells what is there, if there is none, or several.
    """
    folders = sorted({str(PurePosixPath(name).parent) for name in names if name.rpartition("/")[2] in _GRAPHS})
    if "." in folders:
        return ""
    if len(folders) == 1:
        return folders[0]
    if folders:
        hint = "register the folder of one of them as a version"
        raise ModelError(f"{where} holds several SavedModels: {', '.join(folders)}", hint=hint)
    keras = next((name for name in sorted(names) if name.endswith(_KERAS)), None)
    if keras is not None:
        number = f"models:/{where.path}/{where.version}"
        hint = f"export it: mlflow artifacts download -u {number} -d DIR, then tfs-deploy export DIR/{keras} --to BASE"
        raise ModelError(f"{where} is a Keras file, {keras}, and not a SavedModel", hint=hint)
    there = ", ".join(sorted({name.partition("/")[0] for name in names})[:8]) or "nothing"
    hint = "register a SavedModel, or a directory that tfs-deploy export has written"
    raise ModelError(f"{where} holds no SavedModel, but {there}", hint=hint)


def _search(client: Any, name: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_model_versions(f"name='{name}'", max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _open_artefacts(client: Any, version: Any) -> Any:
    registry = import_extra("mlflow.store.artifact.artifact_repository_registry", "mlflow")
    return registry.get_artifact_repository(client.get_model_version_download_uri(version.name, str(version.version)))


def _local(repository: Any) -> Path | None:
    """Return the directory of artefacts that are files of this machine."""
    repositories = import_extra("mlflow.store.artifact.local_artifact_repo", "mlflow")
    return Path(repository.artifact_dir) if isinstance(repository, repositories.LocalArtifactRepository) else None


def _files(repository: Any, folder: str | None = None) -> Iterator[tuple[str, int]]:
    """Yield the path and size of each file; a link of this machine that leads out of the version raises."""
    local = _local(repository)
    if local is not None:
        yield from ((path.as_posix(), real.stat().st_size) for path, real in tree(local) if real.is_file())
        return
    for each in repository.list_artifacts(folder):
        if each.is_dir:
            yield from _files(repository, each.path)
        else:
            yield each.path, int(each.file_size or 0)
