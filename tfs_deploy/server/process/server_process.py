# SPDX-License-Identifier: Apache-2.0
"""The server as a process: from flags to open ports, and down again on a signal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import (
    EnvironmentFault,
    FailedPreconditionError,
    PlatformError,
    StatusError,
    TfsDeployError,
    UsageError,
)
from tfs_deploy.host.addresses import Address
from tfs_deploy.host.tcp_ports import bind, check_free
from tfs_deploy.runtime.library import disable_xla, load_library
from tfs_deploy.runtime.op_libraries import load_op_libraries
from tfs_deploy.runtime.session import return_large_blocks
from tfs_deploy.savedmodel.graph.op_libraries import use_op_libraries
from tfs_deploy.server.data_plane import DataPlane
from tfs_deploy.server.grpc.prediction_service import LARGE_REQUEST
from tfs_deploy.server.grpc.server import GrpcServer
from tfs_deploy.server.metrics import ServerMetrics
from tfs_deploy.server.process.settings import (
    channel_options,
    compiles_with_xla,
    initial_config,
    make_core,
    metrics_path,
    read_config_file,
    server_credentials,
)
from tfs_deploy.server.process.stop_signals import stop_signals
from tfs_deploy.server.rest.handler import RestHandler
from tfs_deploy.server.rest.limits import RestLimits
from tfs_deploy.server.rest.server import RestServer
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from tfs_deploy.server.process.flags import ServerFlags

_log = logging.getLogger(__name__)

#: names of processes that adopt the children of others
_INITS: Final = frozenset({"init", "systemd", "tini", "dumb-init", "docker-init", "catatonit", "runit", "s6-svscan"})
_MANY_FILES: Final = 65536
#: when a start that still waits for models logs it
_REMIND_SECONDS: Final = 3.0
#: when a server has ended, whatever runs, after the time for requests
_END_SECONDS: Final = 0.9
_ALLOW_LABELS: Final = "allow_version_labels_for_unavailable_models"


class ServerProcess:
    """One server: ``start`` opens the ports after the models are loaded, ``stop`` drains and unloads."""

    def __init__(self, flags: ServerFlags) -> None:
        self._flags = flags
        self._metrics = ServerMetrics()
        self._core = make_core(flags, self._metrics)
        self._grpc: GrpcServer | None = None
        self._rest: RestServer | None = None
        self._credentials = server_credentials(flags)
        self._metrics_path = metrics_path(flags)
        self._poller: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Load the models, then open the ports.

        Raises:
            TfsDeployError: the models cannot be served, or a port cannot be used.
        """
        flags = self._flags
        config = initial_config(flags)
        port, rest_port = flags.number("port"), flags.number("rest_api_port")
        if port == 0 and not flags.text("grpc_socket_path"):
            raise UsageError("no gRPC port: --port is 0 and --grpc_socket_path is empty", hint="give --port=8500")
        address = flags.text("address")
        if port:
            check_free(address, port, what="gRPC")
        if rest_port and rest_port != port:
            check_free(address, rest_port, what="REST")
        # in this thread, before others load models: stderr is captured meanwhile
        use_op_libraries(filter(None, flags.text("load_op_library").split(",")))
        load_op_libraries(load_library())
        if not compiles_with_xla(flags):
            disable_xla()
        reminder = threading.Timer(_REMIND_SECONDS, self._remind, [config])
        reminder.daemon = True
        reminder.start()
        try:
            self._core.reload(config)
        except StatusError as error:
            raise _refused(error, config, flags) from error
        finally:
            reminder.cancel()
        if self._stopping.is_set():
            return
        self._open(port, rest_port)
        self._start_config_poller()

    def _remind(self, config: Any) -> None:
        """Log what the start waits for; the original waits as long, in silence."""
        names = [model.name for model in config.model_config_list.config if not self._core.serves(model.name)]
        states = self._core.states
        waits = [f"{name} ({'loading' if states.versions(name) else 'no version'})" for name in names]
        if waits:
            _log.warning("the ports open once these models are served: %s", ", ".join(waits))

    def _open(self, port: int, rest_port: int) -> None:
        flags = self._flags
        data_plane = DataPlane(
            self._core,
            self._metrics,
            check_method=flags.on("enable_signature_method_name_check"),
        )
        self._grpc = GrpcServer(
            data_plane,
            threads=flags.number("grpc_max_threads"),
            limit=flags.number("grpc_max_threads") if "grpc_max_threads" in flags.given else None,
            options=[
                *channel_options(flags),
                ("grpc.max_allowed_incoming_connections", flags.number("max_connections")),
            ],
            health=flags.on("enable_grpc_healthcheck_service"),
            tensor_content=flags.on("enable_serialization_as_tensor_content"),
            remote_reload=flags.on("remote_reload"),
        )
        address = flags.text("address")
        place = str(Address(address, port))
        if port:
            check_free(address, port, what="gRPC")
            self._grpc.listen(place, self._credentials)
        if flags.text("grpc_socket_path"):
            self._grpc.listen(f"unix:{flags.text('grpc_socket_path')}")
        self._grpc.start()
        _log.info("gRPC listens on %s", place if port else flags.text("grpc_socket_path"))
        if rest_port and rest_port != port:
            self._rest = RestServer(
                RestHandler(data_plane, metrics_path=self._metrics_path),
                bind(address, rest_port, what="REST"),
                threads=flags.number("rest_api_num_threads"),
                timeout=flags.number("rest_api_timeout_in_ms") / 1000,
                cors=flags.on("rest_api_enable_cors_support"),
                limits=RestLimits(
                    connections=flags.number("max_connections"),
                    idle_seconds=flags.real("rest_api_idle_seconds"),
                    request_seconds=flags.real("rest_api_request_seconds"),
                ),
            )
            self._rest.start()
            _log.info("REST listens on %s", Address(address, rest_port))

    def _start_config_poller(self) -> None:
        seconds = self._flags.number("model_config_file_poll_wait_seconds")
        if seconds > 0 and self._flags.text("model_config_file"):
            self._poller = threading.Thread(
                target=self._poll_config, args=(seconds,), name="config-poller", daemon=True
            )
            self._poller.start()

    def _poll_config(self, seconds: int) -> None:
        """Read and apply the config file again and again, changed or not (model_servers/server.cc)."""
        path = Path(self._flags.text("model_config_file"))
        said = ""
        while not self._stopping.wait(seconds):
            try:
                self._core.reload(read_config_file(path))
                said = ""
            except TfsDeployError as error:  # noqa: PERF203 - the next round may do better
                if error.message != said:
                    said = error.message
                    _log.error("the model config file is not applied: %s", one_line(said))
            except Exception:  # noqa: BLE001 - logged; without this thread no later config would be applied
                _log.exception("the model config file is not applied")

    def stop(self) -> None:
        """Close the ports, let requests end within --drain_seconds, unload all models."""
        self.abort()
        grace = self._flags.real("drain_seconds")
        parts = [part.stop for part in (self._rest, self._grpc) if part is not None]
        stopping = [threading.Thread(target=stop, args=(grace,), name="stop", daemon=True) for stop in parts]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        self._core.stop()

    def abort(self) -> None:
        """Make a ``start`` that waits for models give up."""
        self._stopping.set()
        self._core.release()


def _refused(error: StatusError, config: Any, flags: ServerFlags) -> UsageError:
    """Return the error for a first config that was refused, with the flag that would allow it if there is one."""
    labelled = any(model.version_labels for model in config.model_config_list.config)
    hint = "tfs-deploy inspect shows a model"
    if labelled and isinstance(error, FailedPreconditionError) and not flags.on(_ALLOW_LABELS):
        hint = f"labels in the config that a server starts with need --{_ALLOW_LABELS}=true"
    return UsageError(f"the models cannot be served: {error.code.name}: {' '.join(error.message.split())}", hint=hint)


def living_parent() -> int:
    """Return the process that started this one; process 1 counts only where it is the first one of a container.

    Raises:
        EnvironmentFault: it has ended: an init process has adopted this one.
    """
    parent = os.getppid()
    if parent == 1 and _name_of(1) in _INITS:
        raise EnvironmentFault("the process that started the server has ended", hint="drop --exit_with_parent")
    return parent


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "init"


def _allow_many_connections() -> None:
    """Raise the limit of open files as far as the system allows: every connection is one."""
    if sys.platform == "win32":
        raise PlatformError("the embedded server")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, _MANY_FILES)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _MANY_FILES)), hard))


def _leave() -> None:
    """End the process without its threads; a graph that does not end keeps its model loaded."""
    _log.warning("dropping requests that are still running")
    logging.shutdown()
    os._exit(0)


def serve(flags: ServerFlags) -> None:
    """Run a server until a signal asks it to stop.

    Raises:
        TfsDeployError: it did not start.
    """
    parent = living_parent() if flags.on("exit_with_parent") else None
    if flags.ignored:
        _log.warning("these flags are ignored: %s", ", ".join(flags.ignored))
    return_large_blocks(LARGE_REQUEST)
    _allow_many_connections()
    server = ServerProcess(flags)
    failure: list[BaseException] = []
    started = threading.Event()

    def start() -> None:
        try:
            server.start()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            failure.append(error)
        finally:
            started.set()

    with stop_signals() as stop:
        starter = threading.Thread(target=start, name="start", daemon=True)
        starter.start()
        while not stop.wait(0.2):
            if started.is_set() and failure:
                break
            if parent is not None and os.getppid() != parent:
                _log.info("the process that started the server has ended")
                stop.set()
        # threads that cannot be interrupted would be waited for, as one that loads a model is at Python's own end
        end = threading.Timer(flags.real("drain_seconds") + _END_SECONDS, _leave)
        end.daemon = True
        if stop.is_set():
            end.start()
        server.abort()
        starter.join()
        if stop.is_set():
            _log.info("stopping")
        server.stop()
    if failure and not stop.is_set():
        raise failure[0]
