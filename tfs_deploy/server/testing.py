# SPDX-License-Identifier: Apache-2.0
"""Run the embedded server inside a test, on free ports, for SavedModels or plain Python functions.

    with serve_models({"double": function_model(double, inputs={"x": "float32"}, outputs={"y": "float32"})}) as server:
        with Client(server.grpc_address) as client:
            client.predict("double", {"x": [1.0]})

pytest finds the fixtures ``serving`` and ``model_server``, which do the same, by itself (``docs/testing.md``).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tfs_deploy import protos
from tfs_deploy.errors import StatusError, UsageError
from tfs_deploy.extras import require_extra
from tfs_deploy.savedmodel.versions import latest_version, list_versions
from tfs_deploy.server.data_plane import DataPlane
from tfs_deploy.server.faults import Faults
from tfs_deploy.server.grpc.server import GrpcServer
from tfs_deploy.server.inference.function_model import FunctionModel, fixed_model, function_model
from tfs_deploy.server.inference.servable import ModelServable
from tfs_deploy.server.metrics import ServerMetrics
from tfs_deploy.server.models.config_checks import TENSORFLOW
from tfs_deploy.server.models.loader import LoaderOptions, SavedModelLoader
from tfs_deploy.server.models.manager import ManagerOptions
from tfs_deploy.server.models.server_core import ServerCore, ServerCoreOptions, check_reached
from tfs_deploy.server.models.states import ServableId

__all__ = ["FunctionModel", "TestServer", "fixed_model", "function_model", "serve_models"]

_HOST: Final = "127.0.0.1"
_THREADS: Final = 8
_DRAIN_SECONDS: Final = 1.0
#: longer than a test should take; the server's own default is as long
_REST_TIMEOUT_SECONDS: Final = 30.0

#: a base path, a function model, or function models by version
Served = str | Path | FunctionModel | Mapping[int, FunctionModel]


@dataclass(frozen=True, slots=True)
class TestServer:
    """A running server; ``rest_url`` is ``None`` without REST."""

    __test__ = False  # or pytest would collect it for its name

    grpc_address: str
    rest_url: str | None
    core: ServerCore
    _faults: Faults = field(default_factory=Faults, repr=False)

    def failing(
        self, model: str, error: StatusError, *, times: int | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """Answer requests for a model with ``error`` inside the block, or only the next ``times`` of them.

        Requests for its metadata count: a client makes one before its first ``predict``.
        """
        return self._faults.during(model, error=error, times=times)

    def slow(self, model: str, seconds: float) -> contextlib.AbstractContextManager[None]:
        """Wait so many seconds before each answer for a model inside the block; what waits at its end goes on."""
        return self._faults.during(model, seconds=seconds)


@contextlib.contextmanager
def serve_models(
    models: Mapping[str, Served], *, labels: Mapping[str, Mapping[str, int]] | None = None, rest: bool = True
) -> Iterator[TestServer]:
    """Serve models by name until the block ends; the ports are open once all of them are loaded.

    Args:
        models: name -> base path of SavedModels (all its versions are served), function model (version 1), or version
            -> function model.
        labels: name -> label -> version.
        rest: open a REST port too (needs the ``testing`` extra; gRPC does not).

    Raises:
        MissingExtraError: what REST needs is not installed.
        ModelError: a base path holds no version.
        StatusError: a model cannot be loaded, with the server's code and text.
    """
    with tempfile.TemporaryDirectory(prefix="tfs-deploy-testing-") as folder, contextlib.ExitStack() as stack:
        functions = _function_versions(models)
        metrics = ServerMetrics()
        loader = _Loader(functions, metrics)
        options = ServerCoreOptions(allow_labels_for_unavailable=True, manager=ManagerOptions(load_retries=0))
        core = ServerCore(loader, options)
        stack.callback(core.stop)
        config = _config(models, functions, Path(folder), labels or {})
        core.reload(config)
        check_reached(core.states.wait_until_settled(_versions(config)), "servable(s)")
        data_plane = DataPlane(core, metrics)
        faults = Faults()
        data_plane.find = faults.before(data_plane.find)
        grpc_server = GrpcServer(data_plane, threads=_THREADS)
        port = grpc_server.listen(f"{_HOST}:0")
        grpc_server.start()
        stack.callback(grpc_server.stop, _DRAIN_SECONDS)
        rest_port = stack.enter_context(_rest(data_plane)) if rest else None
        rest_url = None if rest_port is None else f"http://{_HOST}:{rest_port}"
        yield TestServer(f"{_HOST}:{port}", rest_url, core, faults)


@contextlib.contextmanager
def _rest(data_plane: DataPlane) -> Iterator[int]:
    for module in ("uvicorn", "httptools", "orjson"):
        require_extra(module, "testing")
    from tfs_deploy.host.tcp_ports import bind
    from tfs_deploy.server.rest.handler import RestHandler
    from tfs_deploy.server.rest.server import RestServer

    listener = bind(_HOST, 0, what="REST")
    port: int = listener.getsockname()[1]
    server = RestServer(RestHandler(data_plane), listener, threads=_THREADS, timeout=_REST_TIMEOUT_SECONDS, cors=False)
    server.start()
    try:
        yield port
    finally:
        server.stop(_DRAIN_SECONDS)


class _Loader:
    """Loads functions by name and version, everything else as the server does."""

    def __init__(self, functions: Mapping[ServableId, FunctionModel], metrics: ServerMetrics) -> None:
        self._functions = functions
        self._metrics = metrics
        self._engines = SavedModelLoader(LoaderOptions(), metrics)

    def __call__(self, servable: ServableId, path: Path) -> ModelServable:
        function = self._functions.get(servable)
        if function is None:
            return self._engines(servable, path)
        return ModelServable(function, name=servable.name, metrics=self._metrics)


def _function_versions(models: Mapping[str, Served]) -> dict[ServableId, FunctionModel]:
    functions = {}
    for name, served in models.items():
        if isinstance(served, FunctionModel):
            functions[ServableId(name, 1)] = served
        elif isinstance(served, Mapping):
            functions.update({ServableId(name, version): each for version, each in served.items()})
        elif isinstance(served, (str, Path)):
            latest_version(served)  # a server would wait for one
        else:
            kind = type(served).__name__  # type: ignore[unreachable]
            raise UsageError(
                f"model {name} must be a base path or a function model, not {kind}",
                hint="give a base path or function_model(...)",
            )
    return functions


def _versions(config: Any) -> list[ServableId]:
    """Return every version of a config's models; a reload, as the server has it, waits for one of each model only."""
    return [
        ServableId(model.name, version.number)
        for model in config.model_config_list.config
        for version in list_versions(model.base_path)
    ]


def _config(
    models: Mapping[str, Served],
    functions: Mapping[ServableId, FunctionModel],
    folder: Path,
    labels: Mapping[str, Mapping[str, int]],
) -> Any:
    """Return the config; functions get a directory per version, so that the server finds them like any model."""
    config = protos.ModelServerConfig()
    config.model_config_list.SetInParent()
    for number, (name, served) in enumerate(models.items()):
        base_path = Path(served).resolve() if isinstance(served, (str, Path)) else folder / str(number)
        for servable in functions:
            if servable.name == name:
                (base_path / str(servable.version)).mkdir(parents=True)
        model = config.model_config_list.config.add(name=name, base_path=str(base_path), model_platform=TENSORFLOW)
        model.model_version_policy.all.SetInParent()
        for label, version in labels.get(name, {}).items():
            model.version_labels[label] = version
    return config
